"""Single pieces of the SQL: rewritten expressions, windows, joins, paths, options; and what tries to break out of its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from jdrec.config import Config
from jdrec.errors import CheckError, ConfigError, TemplateError
from jdrec.features import quoting
from jdrec.features.resolve import resolve
from jdrec.features.sql import query, render
from tests.features.small import config, with_features


def sql_of(settings: Config, file: str) -> str:
    return render(resolve(settings), settings, "/run")[file]


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("price * 2", "`price` * 2"),
        ("  price", "`price`"),
        ("`price` > 1.5 and user is not null", "`price` > 1.5 and !isnull(`user`)"),
        ("(user) is null", "isnull((`user`))"),
        ("visit.user", "`user`"),
        ("nvl(user, 'it\\'s')", "nvl(`user`, 'it\\'s')"),
        ({"over": "visits_3", "expr": "count(*)"}, "count(*) over visits_3"),
        ({"over": "visits_3", "expr": "SUM(price) / count(price)"}, "sum(`price`) over visits_3 / count(`price`) over visits_3"),
        ({"over": "visits_3", "expr": "price - avg(price)"}, "`price` - avg(`price`) over visits_3"),
        ({"over": "visits_3", "expr": "if_null(max(price), 0)"}, "if_null(max(`price`), 0) over visits_3"),
        ({"over": "visits_3", "expr": "if_null(max(price), price)"}, "if_null(max(`price`) over visits_3, `price`)"),
        ({"over": "visits_3", "expr": "bigint(max(price))"}, "bigint(max(`price`) over visits_3)"),
        ({"over": "visits_3", "expr": "hour(max(at_time)) + 1"}, "hour(max(`at_time`)) over visits_3 + 1"),
        ({"over": "visits_3", "expr": "lag(user, 1) is null"}, "isnull(lag(`user`, 1) over visits_3)"),
        ({"over": "visits_3", "expr": "count_where(*, user is null)"}, "count_where(*, isnull(`user`)) over visits_3"),
        ({"over": "visits_3", "expr": "topn_frequency(user, 3)"}, "topn_frequency(`user`, 3) over visits_3"),
        ({"from": "product", "expr": "brand"}, "`product`.`brand`"),
        ({"from": "product", "expr": "if_null(brand, visit.user)"}, "if_null(`product`.`brand`, `visit`.`user`)"),
        ("product.weight * price", "`product`.`weight` * `visit`.`price`"),
    ],
)
def test_expressions(definition: object, expected: str) -> None:
    lines = query(resolve(with_features(f=definition)), "0.9").splitlines()
    assert f"    {expected} as f" in lines


def test_old_names_in_0_6() -> None:
    feature_set = resolve(with_features(f={"over": "visits_3", "expr": "topn_frequency(user, 2)"}))
    assert "fz_topn_frequency(`user`, 2) over visits_3 as f" in query(feature_set, "0.6")


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ({"partition_by": "user", "rows": 3}, "partition by `user` order by `at_time` rows between 3 preceding and 0 preceding)"),
        (
            {"partition_by": ["user", "item"], "rows": "3 open", "end": 1},
            "partition by `user`, `item` order by `at_time` rows between 3 open preceding and 1 preceding)",
        ),
        (
            {"partition_by": "user", "range": "7d open", "end": "0s open", "max_size": 9},
            "partition by `user` order by `at_time` rows_range between 7d open preceding and 0s open preceding MAXSIZE 9)",
        ),
        (
            {"partition_by": "user", "range": "500", "exclude": ["current_time", "current_row"]},
            "partition by `user` order by `at_time` rows_range between 500 preceding and 0s preceding EXCLUDE CURRENT_ROW EXCLUDE CURRENT_TIME)",
        ),
    ],
)
def test_windows(window: dict[str, object], expected: str) -> None:
    settings = config(**{"features.windows.w": window, "features.features": {"f": {"over": "w", "expr": "count(*)"}}})
    assert f"    window w as ({expected}" in query(resolve(settings), "0.9").splitlines()


def test_a_union_makes_the_request_a_row() -> None:
    settings = config(**{"features.features": {"f": {"over": "clicks_7d", "expr": "count(kind)"}}})
    assert query(resolve(settings), "0.9").splitlines()[-9:] == [
        "    `id` as id_2,",
        "    count(`kind`) over clicks_7d as f",
        "from",
        "    (select `user` as `user`, int(0) as `item`, bigint(`at_time`) as `ts`, '' as `kind`, float(0) as `cost`, '' as `note`, id from `visit`)",
        "    window clicks_7d as (",
        "UNION (select `user`, `item`, `ts`, `kind`, `cost`, `note`, '' as id from `click`) partition by `user` order by `ts` "
        "rows_range between 7d preceding and 0s open preceding INSTANCE_NOT_IN_WINDOW)",
        ")",
        "as out1",
        "on out0.id_1 = out1.id_2",
    ]


def test_joins_with_order_and_several_keys() -> None:
    settings = config(
        **{
            "features.joins.latest": {"last_join": "item", "on": ["item", "item"], "order_by": "seen"},
            "features.features": {"f": {"from": "latest", "expr": "brand"}},
        }
    )
    assert (
        "    last join `item` as `latest` order by `latest`.`seen` on `visit`.`item` = `latest`.`item` and `visit`.`item` = `latest`.`item`"
        in query(resolve(settings), "0.9").splitlines()
    )


def test_paths_and_formats() -> None:
    text = sql_of(config(**{"openmldb.data_dir": "hdfs://host/data/"}), "load_online_data.sql")
    assert text.splitlines() == [
        "USE shop;",
        "SET @@execute_mode='online';",
        "LOAD DATA INFILE 'hdfs://host/data/visit/*.parquet' INTO TABLE visit options(format='parquet', mode='append');",
        "LOAD DATA INFILE 'hdfs://host/data/click.csv' INTO TABLE click options(format='csv', header=true, mode='append');",
        "LOAD DATA INFILE 'hdfs://host/data/item' INTO TABLE item options(format='parquet', mode='append');",
    ]


def test_the_format_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "item" / "day=1").mkdir(parents=True)
    formats = []
    for name, settings in (("part.parquet", {}), ("part.csv", {}), ("part.csv", {"dataset.tables.item.format": "parquet"})):
        (tmp_path / "item" / "day=1" / name).touch()
        text = sql_of(config(**{"dataset.root": str(tmp_path)}, **settings), "load_online_data.sql")
        (tmp_path / "item" / "day=1" / name).unlink()
        formats.append(text.splitlines()[-1].partition("format=")[2].partition(",")[0])
    assert formats == ["'parquet'", "'csv'", "'parquet'"]
    said = sql_of(config(**{"dataset.root": "nowhere", "dataset.tables.item.format": "csv"}), "load_offline_data.sql")
    assert said.splitlines()[-1].endswith("INTO TABLE item options(format='csv', header=true, mode='overwrite');")


def test_reserved_words_are_quoted() -> None:
    settings = config(
        **{
            "dataset.tables.visit.columns": {"id": "string", "order": "string", "at_time": "timestamp", "item": "int"},
            "features.windows": {"window": {"partition_by": "order", "rows": 3}},
            "features.features": {"group": {"over": "window", "expr": "count(`order`)"}},
        }
    )
    text = query(resolve(settings), "0.9")
    assert "    count(`order`) over `window` as `group`" in text.splitlines()
    assert "window `window` as (partition by `order`" in text
    assert (
        sql_of(settings, "create_tables.sql").splitlines()[2]
        == "CREATE TABLE visit(id string, `order` string, at_time timestamp, item int);"
    )


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        ("openmldb.data_dir", "/a'b", "INFILE '/a\\'b/visit/*.parquet' INTO"),
        ("openmldb.data_dir", "/a'; drop table visit; --", "INFILE '/a\\'; drop table visit; --/visit/*.parquet' INTO"),
        ("openmldb.data_dir", "/a\\", "INFILE '/a\\\\/visit/*.parquet' INTO"),
        ("openmldb.data_dir", "/a\nb", "INFILE '/a\\nb/visit/*.parquet' INTO"),
        ("openmldb.data_dir", "/{{ 7*7 }}{% raw %}", "INFILE '/{{ 7*7 }}{% raw %}/visit/*.parquet' INTO"),
    ],
)
def test_values_stay_inside_their_quotes(place: str, value: str, expected: str) -> None:
    assert expected in sql_of(config(**{place: value}), "load_offline_data.sql")


def test_control_characters_are_refused() -> None:
    with pytest.raises(
        TemplateError, match=r"^templates/sql/load_offline_data\.sql\.j2:5: '/a\\x00/visit/\*\.parquet' holds a control character\."
    ):
        sql_of(config(**{"openmldb.data_dir": "/a\x00"}), "load_offline_data.sql")


@pytest.mark.parametrize("name", ["a b", "a;b", "a`b", "1a", "", "naïve", "a\n"])
def test_what_is_no_name_is_never_written(name: str) -> None:
    for write in (quoting.quoted, quoting.bare):
        with pytest.raises(CheckError, match="is not an SQL name"):
            write(name)


@pytest.mark.parametrize(
    ("openmldb", "expected"),
    [
        ({}, "DEPLOY demo"),
        ({"deployment": "buy", "range_bias": "inf"}, "DEPLOY buy OPTIONS(RANGE_BIAS='inf')"),
        ({"range_bias": float("inf"), "rows_bias": 1000}, "DEPLOY demo OPTIONS(RANGE_BIAS='inf', ROWS_BIAS='1000')"),
        ({"range_bias": "20d", "rows_bias": "1000"}, "DEPLOY demo OPTIONS(RANGE_BIAS='20d', ROWS_BIAS='1000')"),
    ],
)
def test_deploy_options(openmldb: dict[str, str], expected: str) -> None:
    assert sql_of(config(openmldb=openmldb), "deploy.sql").splitlines()[1] == expected


@pytest.mark.parametrize(
    ("openmldb", "message"),
    [
        ({"range_bias": "20 days"}, "openmldb.range_bias: '20 days' is not a duration such as 20d, or inf."),
        ({"rows_bias": 1.5}, "openmldb.rows_bias: '1.5' is not a number of rows, or inf."),
        ({"rows_bias": "10d"}, "openmldb.rows_bias: '10d' is not a number of rows, or inf."),
        ({"rows_bias": "1'); drop"}, 'openmldb.rows_bias: "1\'); drop" is not a number of rows, or inf.'),
        (
            {"version": "0.6", "range_bias": "20d"},
            "openmldb.range_bias: DEPLOY of OpenMLDB 0.6 has no such option. Leave it out, or use openmldb.version=0.9.",
        ),
        (
            {"deployment": "a b"},
            "openmldb.deployment: 'a b' cannot be a deployment's name: letters, digits and _, not starting with a digit.",
        ),
    ],
)
def test_wrong_options(openmldb: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        sql_of(config(openmldb=openmldb), "deploy.sql")
    assert str(caught.value) == message


def test_a_broken_template_is_named_with_its_line(tmp_path: Path) -> None:
    folder = tmp_path / "sql"
    folder.mkdir()
    settings = config()
    (folder / "create_tables.sql.j2").write_text("CREATE\nDATABASE {{ databse }};\n", encoding="utf-8")
    with pytest.raises(TemplateError) as caught:
        render(resolve(settings), settings, "/run", templates=folder)
    assert str(caught.value) == "templates/sql/create_tables.sql.j2:2: 'databse' is undefined."
    (folder / "create_tables.sql.j2").write_text("\n\n{% if %}\n", encoding="utf-8")
    with pytest.raises(TemplateError, match=r"^templates/sql/create_tables\.sql\.j2:3: "):
        render(resolve(settings), settings, "/run", templates=folder)

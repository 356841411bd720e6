"""Where rows come from: derived columns, chained and conditional joins, windows over joins, unions of several tables."""

from __future__ import annotations

from typing import Any

import pytest

from jdrec.engines.embedded.planner import make_plan
from jdrec.errors import CheckError, ConfigErrors
from jdrec.features import compiler
from jdrec.features.resolve import resolve
from jdrec.features.spec import FeatureSet, RowColumn
from jdrec.features.sql import query
from jdrec.features.types import SqlType
from tests.features.small import config

TABLES = {
    "dataset.tables.pairs": {
        "path": "pairs",
        "time": "ts",
        "columns": {"pair": "string", "ts": "timestamp", "kind": "string", "cost": "float"},
    },
    "dataset.tables.views": {"path": "views", "time": "ts", "columns": {"who": "string", "ts": "timestamp", "kind": "string"}},
    "dataset.tables.brands": {"path": "brands", "columns": {"brand": "string", "country": "string", "since": "timestamp"}},
}
DERIVED = {
    "pairs": {
        "user": "join(split_by_key(pair, ',', '_'), '')",
        "item": "int(join(split_by_value(pair, ',', '_'), ''))",
        "dear": "cost * 2 > 3",
    },
    "views": {"user": "lower(who)"},
    "visit": {"shop": "concat(user, '-', item)", "big_shop": "upper(shop)"},
    "item": {"label": "concat(brand, 'x')"},
}
BEFORE = {"range": "7d", "end": "0s open", "exclude": "instances"}
WINDOWS = {
    "own": {"partition_by": "user", "rows": "unbounded"},
    "own_shop": {"partition_by": "shop", "range": "7d"},
    "by_user": {"union": "pairs", "partition_by": "user", **BEFORE, "range": "unbounded", "request_row": {"item": "item"}},
    "by_both": {"union": ["pairs", "views"], "partition_by": "user", **BEFORE},
    "by_pair": {"union": "pairs", "partition_by": {"pair": "big_shop"}, **BEFORE},
}
JOINS = {
    "product": {"last_join": "item", "on": "item", "order_by": "seen", "where": "seen < visit.at_time and weight > 0"},
    "brand": {"last_join": "brands", "on": {"product.brand": "brand"}},
    "labelled": {"last_join": "item", "on": {"shop": "label", "item": "item"}},
    "simple": {"last_join": "item", "on": "item"},
}


def made(**features: Any) -> FeatureSet:
    named = {name: {"expr": feature} if isinstance(feature, str) else feature for name, feature in features.items()}
    return resolve(
        config(**{**TABLES, "features.derived": DERIVED, "features.windows": WINDOWS, "features.joins": JOINS, "features.features": named})
    )


def sql(**features: Any) -> str:
    """The query without line breaks and without its outer parts."""
    return " ".join(query(made(**features), "0.9").split())


ON_REQUEST = "concat(`user`, '-', `item`)"
CASES: list[tuple[dict[str, Any], str]] = [
    # An input is put in place of its name, so that indexes stay of use; a key has to be a column.
    ({"expr": "shop"}, f"({ON_REQUEST}) as f from `visit` ) as out0"),
    ({"expr": "big_shop"}, f"(upper(({ON_REQUEST}))) as f from `visit`"),
    ({"over": "own", "expr": "count(shop)"}, f"count(({ON_REQUEST})) over own as f from `visit` window own as (partition by `user`"),
    (
        {"over": "own_shop", "expr": "count(*)"},
        f"count(*) over own_shop as f from (select *, {ON_REQUEST} as `shop` from `visit`) as `visit` window own_shop as (partition by `shop` ",
    ),
    (
        {"over": "own", "expr": "at(shop, 1)"},
        f"at(`shop`, 1) over own as f from (select *, {ON_REQUEST} as `shop` from `visit`) as `visit` window own",
    ),
    (
        {"over": "by_user", "expr": "count_where(item, item = at(item, 0))"},
        "from (select '' as `pair`, `at_time` as `ts`, '' as `kind`, float(0) as `cost`, `user` as `user`, `item` as `item`, id from `visit`) "
        "window by_user as ( UNION (select `pair`, `ts`, `kind`, `cost`, `join`(split_by_key(`pair`, ',', '_'), '') as `user`, "
        "int(`join`(split_by_value(`pair`, ',', '_'), '')) as `item`, '' as id from `pairs`) partition by `user` order by `ts` "
        "rows_range between unbounded preceding and 0s open preceding INSTANCE_NOT_IN_WINDOW)",
    ),
    (
        {"over": "by_pair", "expr": "count_where(kind, dear)"},
        "count_where(`kind`, (`cost` * 2 > 3)) over by_pair as f from (select upper((concat(`user`, '-', `item`))) as `pair`,",
    ),
    (
        {"over": "by_both", "expr": "count(kind)"},
        "(select `ts`, `kind`, `join`(split_by_key(`pair`, ',', '_'), '') as `user`, '' as id from `pairs`), "
        "(select `ts`, `kind`, lower(`who`) as `user`, '' as id from `views`) partition by `user`",
    ),
    # Joins.
    (
        {"from": "product", "expr": "label"},
        "(concat(`product`.`brand`, 'x')) as f from `visit` last join `item` as `product` order by `product`.`seen` on "
        "`visit`.`item` = `product`.`item` and (`product`.`seen` < `visit`.`at_time` and `product`.`weight` > 0)",
    ),
    (
        {"from": "brand", "expr": "country"},
        "`product`.`weight` > 0) last join `brands` as `brand` on `product`.`brand` = `brand`.`brand` )",
    ),
    (
        {"from": "labelled", "expr": "brand"},
        f"from (select *, {ON_REQUEST} as `shop` from `visit`) as `visit` last join (select *, concat(`brand`, 'x') as `label` from `item`) as "
        "`labelled` on `visit`.`shop` = `labelled`.`label` and `visit`.`item` = `labelled`.`item`",
    ),
    (
        {"over": "own", "expr": "avg(simple.weight - price)"},
        "avg(`simple`.`weight` - `visit`.`price`) over own as f from `visit` last join `item` as `simple` on `visit`.`item` = `simple`.`item` "
        "window own as (partition by `visit`.`user` order by `visit`.`at_time` rows between unbounded preceding and 0 preceding)",
    ),
    (
        {"over": "own", "expr": "at(simple.label, 1)"},
        "last join (select *, concat(`brand`, 'x') as `label` from `item`) as `simple` on `visit`.`item` = `simple`.`item` window",
    ),
]


@pytest.mark.parametrize(("feature", "expected"), CASES)
def test_sql(feature: dict[str, Any], expected: str) -> None:
    assert expected in sql(f=feature)


@pytest.mark.compiler
def test_the_compiler_takes_them() -> None:
    """All of them together in batch mode; in request mode all but those with rules that checks.py names."""
    sets = [made(f=feature) for feature, _ in CASES]
    answers = list(compiler.answers(sets[0], [query(feature_set, "0.9") for feature_set in sets]))
    refused = [n for n, answer in enumerate(answers) if "columns" not in answer]
    assert [(CASES[n][0], answers[n]["refused"]) for n in refused] == [
        ({"over": "own_shop", "expr": "count(*)"}, "request"),
        ({"over": "own", "expr": "at(shop, 1)"}, "request"),
        ({"over": "by_pair", "expr": "count_where(kind, dear)"}, "request"),
    ]
    for n, feature_set in enumerate(sets):
        if n not in refused:
            assert answers[n]["columns"][-1] == ["f", feature_set.by_name["f"].type.value]


def test_blocks() -> None:
    """A window shares its sub-query with none that would keep it from being deployed."""
    feature_set = made(
        a={"over": "own_shop", "expr": "count(*)"},
        b={"over": "own", "expr": "count(*)"},
        c={"over": "own", "expr": "avg(simple.weight)"},
        d={"over": "own", "expr": "count(brand.country)"},
        e={"from": "brand", "expr": "country"},
        h={"over": "own_shop", "expr": "avg(simple.weight)"},
        i={"over": "own", "expr": "max(simple.weight)"},
        f={"over": "by_user", "expr": "count(*)"},
        g={"over": "by_both", "expr": "count(*)"},
    )
    assert [(b.kind, b.joins, b.derived, [f.name for f in b.features[1:]]) for b in feature_set.blocks] == [
        ("request", (), (), ["b"]),
        ("join", ("product", "brand"), (), ["e"]),
        ("request", (), ("shop",), ["a"]),
        ("join", ("simple",), (), ["c", "i"]),
        ("join", ("product", "brand"), (), ["d"]),
        ("join", ("simple",), ("shop",), ["h"]),
        ("union", (), ("user", "item"), ["f"]),
        ("union", (), ("user",), ["g"]),
    ]
    assert feature_set.blocks[6].row[-2:] == (RowColumn("user", SqlType.STRING, "user"), RowColumn("item", SqlType.INT, "item"))
    assert feature_set.joins["brand"].keys == (("product", "brand", "brand"),)
    assert feature_set.joins["brand"].needs == ("product",)
    assert feature_set.tables["visit"].stored("big_shop") == ("user", "item")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"features.derived": {"pair": {"a": "1"}}},
            "features.derived.pair: there is no table 'pair'. Did you mean 'pairs'?",
        ),
        (
            {"features.derived": {"visit": {"a": "pryce"}}},
            "features.derived.visit.a: column 1: table 'visit' has no column 'pryce'. Did you mean 'price'?",
        ),
        ({"features.derived": {"visit": {"User": "'x'"}}}, "features.derived.visit.User: table 'visit' has a column of that name."),
        ({"features.derived": {"visit": {"a": "1", "A": "2"}}}, "features.derived.visit.A: table 'visit' has a column of that name."),
        (
            {"features.derived": {"visit": {"a": "count(price)"}}},
            "features.derived.visit.a: column 1: count runs over a window, which only a feature can name, with over.",
        ),
        (
            {"features.derived": {"visit": {"a": "product.brand"}}},
            "features.derived.visit.a: column 1: there is no 'product' to read columns from here. Valid: visit.",
        ),
        (
            {"features.joins.x": {"last_join": "item", "on": {"prodct.item": "item"}}},
            "features.joins.x.on: there is no join 'prodct' before this one. Did you mean 'product'?",
        ),
        (
            {"features.joins.x": {"last_join": "item", "on": {"product.brnd": "item"}}},
            "features.joins.x.on: table 'item' has no column 'brnd'. Did you mean 'brand'?",
        ),
        (
            {"features.joins.x": {"last_join": "item", "on": "item", "where": "weight"}},
            "features.joins.x.where: a condition is needed here, not double.",
        ),
        (
            {"features.joins.x": {"last_join": "item", "on": "item", "where": "later.weight > 0"}},
            "features.joins.x.where: column 1: there is no 'later' to read columns from here. Valid: visit, product, x.",
        ),
        (
            {"features.windows.w": {"partition_by": "user", "rows": 3, "request_row": {"item": "item"}}},
            "features.windows.w.request_row: without union the request is a row of the window as it is.",
        ),
        (
            {"features.windows.w": {"union": "click", "partition_by": "user", "range": "7d", "request_row": {"user": "user"}}},
            "features.windows.w.request_row.user: 'user' is filled already: it is a key or the order.",
        ),
        (
            {"features.windows.w": {"union": "click", "partition_by": "user", "range": "7d", "request_row": {"kind": "item"}}},
            "features.windows.w.request_row.kind: visit.item is int but click.kind is string.",
        ),
    ],
)
def test_mistakes(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        resolve(config(**{**TABLES, **changes}))
    assert [str(error) for error in caught.value.errors] == [message]


@pytest.mark.parametrize(
    ("feature", "what"),
    [
        ({"expr": "1", "openmldb_only": True, "type": "int"}, "SQL that is openmldb_only"),
    ],
)
def test_the_embedded_engine_says_what_it_lacks(feature: dict[str, Any], what: str) -> None:
    with pytest.raises(CheckError) as caught:
        make_plan(made(f=feature))
    assert str(caught.value) == (
        f"features.features.f: the embedded engine does not compute {what}. OpenMLDB itself (engine=openmldb or engine=spark) has it."
    )

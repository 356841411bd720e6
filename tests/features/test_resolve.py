"""From YAML to the feature set: what comes out, and the exact message of every mistake."""

from __future__ import annotations

from typing import Any

import pytest

from jdrec.errors import ConfigErrors
from jdrec.features.resolve import resolve
from jdrec.features.spec import Bound, Encoding, Feature, Join, Kind, RowColumn, Window
from jdrec.features.types import SqlType
from tests.features.small import config, shipped, with_features

JD_NUMERIC = [
    "flattenRequest_pair_id_window_unique_count_27",
    "flattenRequest_pair_id_window_top1_ratio_28",
    "flattenRequest_pair_id_window_top1_ratio_29",
    "flattenRequest_pair_id_window_unique_count_32",
    "flattenRequest_pair_id_window_count_35",
    "bo_comment_bad_comment_rate_multi_max_13",
    "bo_comment_bad_comment_rate_multi_min_14",
    "bo_comment_bad_comment_rate_multi_min_15",
    "bo_comment_comment_num_multi_unique_count_22",
    "bo_comment_has_bad_comment_multi_unique_count_23",
    "bo_action_model_id_multi_unique_count_19",
    "bo_action_model_id_multi_unique_count_20",
    "bo_action_type_multi_unique_count_21",
]


def test_windows() -> None:
    feature_set = resolve(config(**{"features.windows.visits_1h": {"partition_by": ["user", "item"], "range": "1h open", "max_size": 5}}))
    assert feature_set.windows == {
        "visits_3": Window("visits_3", (), ("user",), ("user",), "at_time", "rows", Bound(3, "3"), Bound(0, "0")),
        "clicks_7d": Window(
            "clicks_7d",
            ("click",),
            ("user",),
            ("user",),
            "ts",
            "rows_range",
            Bound(604_800_000, "7d"),
            Bound(0, "0s", open=True),
            instance_not_in_window=True,
        ),
        "visits_1h": Window(
            "visits_1h",
            (),
            ("user", "item"),
            ("user", "item"),
            "at_time",
            "rows_range",
            Bound(3_600_000, "1h", open=True),
            Bound(0, "0s"),
            max_size=5,
        ),
    }


def test_joins() -> None:
    feature_set = resolve(config(**{"features.joins.latest": {"last_join": "item", "on": {"item": "sold"}, "order_by": "seen"}}))
    assert feature_set.joins == {
        "product": Join("product", "item", (("item", "item"),)),
        "latest": Join("latest", "item", (("item", "sold"),), order_by="seen"),
    }


def test_blocks_in_the_querys_order() -> None:
    feature_set = resolve(
        with_features(
            clicks={"over": "clicks_7d", "expr": "count(kind)"},
            brand={"from": "product", "expr": "brand"},
            visits={"over": "visits_3", "expr": "count(*)"},
            weekday={"expr": "dayofweek(at_time)", "kind": "categorical"},
        )
    )
    assert [(block.alias, block.kind, [feature.name for feature in block.features]) for block in feature_set.blocks] == [
        ("out0", "request", ["id_1", "visits", "weekday"]),
        ("out1", "join", ["id_2", "brand"]),
        ("out2", "union", ["id_3", "clicks"]),
    ]
    assert [feature.name for feature in feature_set.fields] == ["visits", "clicks", "weekday", "brand"]
    assert feature_set.blocks[2].row == (
        RowColumn("user", SqlType.STRING, "user"),
        RowColumn("item", SqlType.INT),
        RowColumn("ts", SqlType.BIGINT, "at_time"),
        RowColumn("kind", SqlType.STRING),
        RowColumn("cost", SqlType.FLOAT),
        RowColumn("note", SqlType.STRING),
    )


def test_windows_with_other_keys_have_blocks_of_their_own() -> None:
    """The request becomes another row under other keys, and a feature must not depend on its neighbours' windows."""
    feature_set = resolve(
        config(
            **{
                "features.windows.item_clicks": {"union": "click", "partition_by": "item", "range": "1d"},
                "features.features": {
                    "clicks": {"over": "clicks_7d", "expr": "count(kind)"},
                    "item_clicks_1d": {"over": "item_clicks", "expr": "count(kind)"},
                },
            }
        )
    )
    assert [(block.windows, [column.name for column in block.row if column.source]) for block in feature_set.blocks] == [
        ((), []),
        (("clicks_7d",), ["user", "ts"]),
        (("item_clicks",), ["item", "ts"]),
    ]


def test_the_key_of_a_block_gives_way_to_a_column_of_the_union() -> None:
    feature_set = resolve(
        config(
            **{
                "dataset.tables.click.columns": {"id": "string", "user": "string", "ts": "bigint"},
                "features.features": {"clicks": {"over": "clicks_7d", "expr": "count(id)"}},
            }
        )
    )
    assert feature_set.blocks[1].key == "request_id"


def test_a_tree_is_canonical() -> None:
    feature_set = resolve(
        with_features(x={"from": "product", "expr": "ifnull(brand, visit.user)"}, y={"over": "visits_3", "expr": "LAG(item, 1)"})
    )
    assert [(column.table, column.name) for column in feature_set.by_name["x"].columns] == [("product", "brand"), (None, "user")]
    assert feature_set.by_name["x"].node.name == "if_null"  # type: ignore[attr-defined]
    assert feature_set.by_name["y"].node.name == "at"  # type: ignore[attr-defined]


def test_kinds_and_label() -> None:
    feature_set = resolve(
        config(
            **{
                "features.label": {"feature": "sold", "horizon": "5d", "observed_until": "click.ts"},
                "features.features": {
                    "sold": {"from": "product", "expr": "sold"},
                    "price_class": {"expr": "int(price / 10)", "kind": "categorical", "encoding": "bucket"},
                    "amount": {"expr": "price", "encoding": "numeric"},
                    "who": {"expr": "user", "kind": "drop"},
                },
            }
        )
    )
    kinds = {feature.name: (feature.kind, feature.encoding) for feature in feature_set.features if not feature.is_block_key}
    assert kinds == {
        "price_class": (Kind.CATEGORICAL, Encoding.BUCKET),
        "amount": (Kind.NUMERIC, Encoding.NUMERIC),
        "who": (Kind.DROP, None),
        "sold": (Kind.LABEL, None),
    }
    assert feature_set.label is not None
    assert (feature_set.label.feature, feature_set.label.horizon_ms) == ("sold", 432_000_000)


def test_jd_tutorial_has_the_tutorials_fields() -> None:
    feature_set = resolve(shipped("jd_tutorial"))
    assert len(feature_set.features) == 42
    assert [feature.name for feature in feature_set.fields[:13]] == JD_NUMERIC
    assert len(feature_set.fields) == 41
    assert [feature.name for feature in feature_set.features if feature.is_block_key] == ["reqId_1", "reqId_3", "reqId_14", "reqId_17"]


def test_jd_deepfm_sees_nothing_of_the_requests_own_moment() -> None:
    feature_set = resolve(shipped("jd_deepfm"))
    assert not any(window.sees_request_moment for window in feature_set.windows.values())
    assert len(feature_set.fields) == 30
    assert not any(isinstance(feature, Feature) and feature.is_block_key for feature in feature_set.fields)


W = "features.windows.w"
F = "features.features.f"
CASES: list[tuple[dict[str, Any], str]] = [
    # --- tables ---
    (
        {"dataset.database": "my-shop"},
        "dataset.database: 'my-shop' cannot be a database's name: SQL names are letters, digits and _, not starting with a digit.",
    ),
    ({"dataset.timezone": "Mars/Base"}, "dataset.timezone: there is no time zone 'Mars/Base': write one such as Asia/Shanghai or UTC."),
    (
        {"dataset.tables.visit.time": "att_time"},
        "dataset.tables.visit.time: table 'visit' has no column 'att_time'. Did you mean 'at_time'?",
    ),
    (
        {"dataset.tables.visit.time": "price"},
        "dataset.tables.visit.time: visit.price is double: rows are ordered by a timestamp, or a bigint of milliseconds.",
    ),
    (
        {"dataset.tables.visit.columns": {"id": "string", "at_time": "timestamp", "a b": "int"}},
        "dataset.tables.visit.columns.a b: 'a b' cannot be a column's name: SQL names are letters, digits and _, not starting with a digit.",
    ),
    # --- request ---
    ({"features.request.table": "visits"}, "features.request.table: there is no table 'visits'. Did you mean 'visit'?"),
    ({"features.request.key": "idd"}, "features.request.key: table 'visit' has no column 'idd'. Did you mean 'id'?"),
    ({"features.request.key": "price"}, "features.request.key: 'price' is double: a key cannot be a float."),
    (
        {"features.request.time": "user"},
        "features.request.time: visit.user is string: rows are ordered by a timestamp, or a bigint of milliseconds.",
    ),
    # --- joins ---
    ({"features.joins.product.last_join": "itme"}, "features.joins.product.last_join: there is no table 'itme'. Did you mean 'item'?"),
    ({"features.joins.product.on": "itemm"}, "features.joins.product.on: table 'visit' has no column 'itemm'. Did you mean 'item'?"),
    (
        {"features.joins.product.on": {"user": "sold"}},
        "features.joins.product.on: visit.user is string but item.sold is int: keys have the same type.",
    ),
    ({"features.joins.product.on": {"price": "weight"}}, "features.joins.product.on: 'weight' is double: a key cannot be a float."),
    ({"features.joins.product.on": []}, "features.joins.product.on: a join needs at least one column."),
    (
        {"features.joins.product.order_by": "brand"},
        "features.joins.product.order_by: item.brand is string: rows are ordered by a timestamp, or a bigint of milliseconds.",
    ),
    ({"features.joins.visit": {"last_join": "item", "on": "item"}}, "features.joins.visit: a join cannot have the request table's name."),
    # --- windows ---
    ({W: {"partition_by": "usr", "rows": 3}}, "features.windows.w.partition_by: table 'visit' has no column 'usr'. Did you mean 'user'?"),
    ({W: {"partition_by": "price", "rows": 3}}, "features.windows.w.partition_by: 'price' is double: a key cannot be a float."),
    ({W: {"partition_by": [], "rows": 3}}, "features.windows.w.partition_by: a window needs at least one key column."),
    ({W: {"partition_by": ["user", "user"], "rows": 3}}, "features.windows.w.partition_by: a column is named twice."),
    (
        {W: {"partition_by": {"user": "user"}, "rows": 3}},
        "features.windows.w.partition_by: a mapping of keys is for windows with union; name the columns alone.",
    ),
    (
        {W: {"union": "click", "partition_by": {"user": "item"}, "range": "1d"}},
        "features.windows.w.partition_by: visit.item is int but click.user is string: keys have the same type.",
    ),
    (
        {W: {"union": "clik", "partition_by": "user", "range": "1d"}},
        "features.windows.w.union: there is no table 'clik'. Did you mean 'click'?",
    ),
    ({W: {"union": ["click", "click"], "partition_by": "user", "range": "1d"}}, "features.windows.w.union: a table is named twice."),
    (
        {W: {"union": ["click", "item"], "partition_by": "item", "range": "1d"}},
        "features.windows.w.order_by: tables click and item share no column 'ts'. Valid: item.",
    ),
    (
        {W: {"union": "item", "partition_by": "item", "range": "1d"}},
        "features.windows.w: say which column orders the rows: order_by here, or dataset.tables.item.time.",
    ),
    (
        {W: {"union": "item", "partition_by": "item", "range": "1d", "order_by": "seenn"}},
        "features.windows.w.order_by: table 'item' has no column 'seenn'. Did you mean 'seen'?",
    ),
    ({W: {"partition_by": "user"}}, "features.windows.w: a window has either rows (how many) or range (how long)."),
    (
        {W: {"partition_by": "user", "rows": 3, "range": "1d"}},
        "features.windows.w: a window has either rows (how many) or range (how long).",
    ),
    (
        {W: {"partition_by": "user", "range": "1w"}},
        "features.windows.w.range: '1w' is not a duration: write a number and s, m, h or d, e.g. 14d; a bare number is milliseconds.",
    ),
    ({W: {"partition_by": "user", "rows": "3d"}}, "features.windows.w.rows: '3d' is not a number of rows: write e.g. 10 or '10 open'."),
    (
        {W: {"partition_by": "user", "range": "1d", "end": "2d"}},
        "features.windows.w.end: the window is empty: it starts 1d back and ends 2d back.",
    ),
    (
        {W: {"partition_by": "user", "rows": "0 open"}},
        "features.windows.w.rows: the window is empty: it starts 0 open back and ends 0 back.",
    ),
    (
        {W: {"partition_by": "user", "rows": 3, "max_size": 2}},
        "features.windows.w.max_size: max_size limits a range; a rows frame has its size already.",
    ),
    # --- features ---
    ({F: {"expr": "pryce"}}, "features.features.f.expr: column 1: table 'visit' has no column 'pryce'. Did you mean 'price'?"),
    (
        {F: {"expr": "1 + prod.brand"}},
        "features.features.f.expr: column 5: there is no 'prod' to read columns from here. Did you mean 'product'?",
    ),
    ({F: {"expr": "price +"}}, "features.features.f.expr: column 8: the expression ends too early."),
    ({F: {"expr": "cuont(price)"}}, "features.features.f.expr: column 1: there is no function 'cuont'. Did you mean 'count'?"),
    (
        {F: {"expr": "count(price)"}},
        "features.features.f.expr: column 1: count runs over a window, which only a feature can name, with over.",
    ),
    ({F: {"expr": "null"}}, "features.features.f.expr: the expression is always NULL."),
    (
        {F: {"expr": "price", "over": "visits_3"}},
        "features.features.f.expr: nothing in it runs over a window: drop `over`, or use an aggregate.",
    ),
    (
        {F: {"expr": "count(price)", "over": "visits_33"}},
        "features.features.f.over: there is no window 'visits_33'. Did you mean 'visits_3'?",
    ),
    ({F: {"expr": "brand", "from": "prodct"}}, "features.features.f.from: there is no join 'prodct'. Did you mean 'product'?"),
    (
        {F: {"expr": "brand", "from": "product", "over": "visits_3"}},
        "features.features.f: a feature is computed over a window or read from a join, not both: drop `over` or `from`.",
    ),
    ({F: {"expr": "user", "kind": "numeric"}}, "features.features.f.kind: a numeric feature is a number, this is string."),
    ({F: {"expr": "user", "encoding": "bucket"}}, "features.features.f.encoding: bucket needs a number, this is string."),
    (
        {F: {"expr": "item", "kind": "categorical", "encoding": "numeric"}},
        "features.features.f.encoding: a categorical feature has no numeric encoding: leave out kind, or take hash or bucket.",
    ),
    (
        {F: {"expr": "item", "kind": "drop", "encoding": "hash"}},
        "features.features.f.encoding: a feature of kind drop is no field of the model and has no encoding.",
    ),
    (
        {F: {"expr": "item", "kind": "label"}},
        "features.features.f.kind: the label is named by features.label.feature, which names another feature or none.",
    ),
    (
        {"features.features.user-count": {"expr": "item"}},
        "features.features.user-count: 'user-count' cannot be a feature's name: SQL names are letters, digits and _, not starting with a digit.",
    ),
    (
        {"features.features.price": {"over": "visits_3", "expr": "max(price)"}},
        "features.features.price: the name 'price' is a column of visit, which OpenMLDB finds ambiguous beside windows: choose another.",
    ),
    ({"features.features.id_1": {"expr": "price"}}, "features.features.id_1: the name 'id_1' is taken by a key column."),
    (
        {"features.features.AMOUNT": {"expr": "price"}},
        "features.features.AMOUNT: the name 'AMOUNT' differs from another one in upper and lower case only.",
    ),
    # --- label and query ---
    ({"features.label": {"feature": "amuont"}}, "features.label.feature: there is no feature 'amuont'. Did you mean 'amount'?"),
    ({"features.label": {"feature": "f"}, F: {"expr": "user"}}, "features.features.f: a label is a number, this is string."),
    (
        {"features.label": {"feature": "amount", "horizon": "5 days", "observed_until": "click.ts"}},
        "features.label.horizon: '5 days' is not a duration: write a number and s, m, h or d, e.g. 14d; a bare number is milliseconds.",
    ),
    (
        {"features.label": {"feature": "amount", "horizon": "5d"}},
        "features.label.horizon: a horizon needs observed_until: the last observed moment, table.column or an ISO time.",
    ),
    (
        {"features.label": {"feature": "amount", "horizon": "5d", "observed_until": "click.tss"}},
        "features.label.observed_until: table 'click' has no column 'tss'. Did you mean 'ts'?",
    ),
    (
        {"features.label": {"feature": "amount", "horizon": "5d", "observed_until": "tomorrow"}},
        "features.label.observed_until: 'tomorrow' is neither table.column nor an ISO time such as 2016-04-10 23:59:59.",
    ),
    (
        {"features.derived": {"visit": {"one": "1"}}, "features.features": {"f": {"over": "visits_3", "expr": "2 * ew_avg(one, 0.5)"}}},
        "features.features.f.expr: column 5: ew_avg has nothing to run over: one is made of no column.",
    ),
    (
        {"features.query": {"keys": ["a", "b"]}},
        "features.query.keys: it takes one name for each of the query's 1 key columns, not 2. Leave keys out to have them named.",
    ),
]


@pytest.mark.parametrize(("changes", "message"), CASES, ids=[message.split(":")[0] + str(n) for n, (_, message) in enumerate(CASES)])
def test_mistakes(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        resolve(config(**changes))
    assert [str(error) for error in caught.value.errors] == [message]


def test_all_mistakes_are_shown_at_once() -> None:
    wrong = config(
        **{
            "features.joins.product.last_join": "itme",
            "features.windows.visits_3.partition_by": "usr",
            "features.features": {
                "brand": {"from": "product", "expr": "brand"},  # its join is wrong, which is said once
                "visits": {"over": "visits_3", "expr": "count(*)"},
                "broken": {"expr": "price +"},
            },
        }
    )
    with pytest.raises(ConfigErrors) as caught:
        resolve(wrong)
    assert [error.where for error in caught.value.errors] == [
        "features.joins.product.last_join",
        "features.windows.visits_3.partition_by",
        "features.features.broken.expr",
    ]

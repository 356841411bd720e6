"""Warnings and errors about feature sets, with their exact messages."""

from __future__ import annotations

from typing import Any

import pytest

from jdrec.errors import ConfigErrors
from jdrec.features.checks import check
from jdrec.features.resolve import resolve
from tests.features.small import config, shipped

CLICKS = {"union": "click", "partition_by": "user", "exclude": "instances"}
SOLD = {"from": "product", "expr": "sold"}


def findings(**changes: Any) -> list[str]:
    return [str(finding) for finding in check(resolve(config(**changes)))]


def counting(window: dict[str, Any]) -> dict[str, Any]:
    return {"features.windows.w": window, "features.features": {"f": {"over": "w", "expr": "count(*)"}}}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        (counting({**CLICKS, "range": "7d", "end": "0s open"}), []),
        (counting({**CLICKS, "range": "7d", "exclude": ["instances", "current_time", "current_row"]}), []),
        (counting({"partition_by": "user", "rows": 3}), []),
        (
            counting({**CLICKS, "range": "7d"}),
            [
                "features.windows.w: it sees rows of click at the request's own time and the request's own row, with '' and 0 in the "
                "columns that it lacks: end: 0s open leaves only what came before."
            ],
        ),
        (
            counting({**CLICKS, "rows": 3, "end": 1}),
            [
                "features.windows.w: it sees rows of click at the request's own time: current_time and current_row in exclude leave only "
                "what came before."
            ],
        ),
        (
            counting({"partition_by": "user", "rows": 3, "exclude": "instances"}),
            ["features.windows.w.exclude: without union, leaving out instances leaves the request's own row alone."],
        ),
        (
            {"features.query": {"keys_are_fields": True}},
            ["features.query.keys_are_fields: the request key differs in every row; the model cannot learn anything from it."],
        ),
        (
            {"features.features": {"which": {"expr": "id"}, "kept": {"expr": "id", "kind": "drop"}}},
            ["features.features.which: it is the request key, another one in every row; drop it or give it kind: drop."],
        ),
        (
            {"features.features": {"seen": {"from": "product", "expr": "seen"}, "weekday": {"expr": "dayofweek(at_time)"}}},
            ["features.features.seen: a moment as it is hardly ever comes again; take dayofweek, hour or a difference of times."],
        ),
        (
            {
                "dataset.timezone": "Europe/Berlin",
                "features.features": {"hour_": {"expr": "hour(at_time)"}, "minute_": {"expr": "minute(at_time)"}},
            },
            ["features.features.hour_: hour counts in UTC+8, as OpenMLDB does, whatever dataset.timezone (Europe/Berlin) says."],
        ),
        ({"dataset.timezone": "Asia/Singapore", "features.features": {"hour_": {"expr": "hour(at_time)"}}}, []),
        (
            {
                "features.label": {"feature": "sold"},
                "features.features": {"sold": SOLD, "earlier": {"over": "w", "expr": "sum(sold)"}, "dropped": {**SOLD, "kind": "drop"}},
                "features.windows.w": {"union": "item", "partition_by": "item", "order_by": "seen", "range": "7d", "end": "1d"},
            },
            [
                "features.features.earlier: it reads item.sold, which the label sold is made of; see to it that labels in the window are "
                "known at the time of the request."
            ],
        ),
    ],
)
def test_warnings(changes: dict[str, Any], expected: list[str]) -> None:
    assert findings(**changes) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {
                "features.label": {"feature": "sold"},
                "features.features": {"sold": SOLD, "sold_twice": {"from": "product", "expr": "sold * 2"}},
            },
            "features.features.sold_twice: it reads item.sold, which the label sold is made of: the model would be told the answer.",
        ),
        (
            counting({"union": "click", "partition_by": "user", "range": "7d"}),
            "features.windows.w: OpenMLDB cannot deploy it: rows of visit would be ordered by at_time (timestamp) made a bigint, which has no "
            "index. Put instances into exclude, or take a timestamp of click for order_by. Or set openmldb.deployable=false, if it need not be deployed.",
        ),
        (
            {
                "features.windows": {
                    "rows_3": {"partition_by": "user", "rows": 3},
                    "short": {"partition_by": "user", "range": "1d", "max_size": 3},
                },
                "features.features": {"a": {"over": "rows_3", "expr": "count(*)"}, "b": {"over": "short", "expr": "count(*)"}},
            },
            "features.windows.short.max_size: OpenMLDB evaluates it together with rows_3 (3 rows) and would cut that short: take a max_size above 3.",
        ),
    ],
)
def test_errors(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        findings(**changes)
    assert [str(error) for error in caught.value.errors] == [expected]


def test_who_deploys_is_not_told_how_to_do_without() -> None:
    with pytest.raises(ConfigErrors) as caught:
        check(resolve(config(**counting({"union": "click", "partition_by": "user", "range": "7d"}))), deploying=True)
    assert str(caught.value) == (
        "features.windows.w: OpenMLDB cannot deploy it: rows of visit would be ordered by at_time (timestamp) made a bigint, which has no "
        "index. Put instances into exclude, or take a timestamp of click for order_by."
    )


def test_shipped_feature_sets() -> None:
    assert check(resolve(shipped("jd_deepfm"))) == []
    assert [finding.where.removeprefix("features.") for finding in check(resolve(shipped("jd_tutorial")))] == [
        "windows.bo_comment_sku_id_ingestionTime_0s_64d_100",
        "windows.bo_comment_sku_id_ingestionTime_0_10_",
        "windows.bo_action_pair_id_ingestionTime_0s_10h_100",
        "windows.bo_action_pair_id_ingestionTime_0s_7d_100",
        "windows.bo_action_pair_id_ingestionTime_0s_14d_100",
        "query.keys_are_fields",
        "features.flattenRequest_eventTime_original_0",
        "features.flattenRequest_reqId_original_1",
        "features.bo_product_ingestionTime_multi_direct_8",
        "features.bo_user_ingestionTime_multi_direct_10",
    ]

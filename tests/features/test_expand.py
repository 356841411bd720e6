"""Short forms, patterns of names, and SQL for OpenMLDB alone."""

from __future__ import annotations

from typing import Any

import pytest

from jdrec.errors import ConfigErrors
from jdrec.features.resolve import resolve
from jdrec.features.spec import FeatureSet, Kind
from jdrec.features.sql import query
from tests.features.small import config

WINDOWS = {
    "visits_3": {"partition_by": "user", "rows": 3},
    "clicks_1d": {"union": "click", "partition_by": "user", "range": "1d", "end": "0s open", "exclude": "instances"},
    "clicks_7d": {"union": "click", "partition_by": "user", "range": "7d", "end": "0s open", "exclude": "instances"},
}


def made(**changes: Any) -> FeatureSet:
    return resolve(config(**{"features.windows": WINDOWS, **changes}))


def expanded(entry: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    """Name to expression and window of what an entry stands for."""
    features = made(**{"features.features": {"f": entry}}).features
    return {feature.name: (feature.text, feature.window) for feature in features if not feature.is_block_key}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (
            {
                "over": ["clicks_1d", "clicks_7d"],
                "columns": ["kind", "note"],
                "functions": ["distinct_count", "topn_frequency({column}, 3)"],
            },
            {
                "clicks_1d_kind_distinct_count": ("distinct_count(kind)", "clicks_1d"),
                "clicks_1d_kind_topn_frequency_3": ("topn_frequency(kind, 3)", "clicks_1d"),
                "clicks_1d_note_distinct_count": ("distinct_count(note)", "clicks_1d"),
                "clicks_1d_note_topn_frequency_3": ("topn_frequency(note, 3)", "clicks_1d"),
                "clicks_7d_kind_distinct_count": ("distinct_count(kind)", "clicks_7d"),
                "clicks_7d_kind_topn_frequency_3": ("topn_frequency(kind, 3)", "clicks_7d"),
                "clicks_7d_note_distinct_count": ("distinct_count(note)", "clicks_7d"),
                "clicks_7d_note_topn_frequency_3": ("topn_frequency(note, 3)", "clicks_7d"),
            },
        ),
        (
            {"over": "clicks_7d", "columns": "cost", "functions": {"mean": "avg", "spread": "max({column}) - min({column})"}},
            {
                "clicks_7d_cost_mean": ("avg(cost)", "clicks_7d"),
                "clicks_7d_cost_spread": ("max(cost) - min(cost)", "clicks_7d"),
            },
        ),
        (
            {"over": ["clicks_1d", "clicks_7d"], "expr": "count(*)"},
            {"clicks_1d_f": ("count(*)", "clicks_1d"), "clicks_7d_f": ("count(*)", "clicks_7d")},
        ),
        (
            {"over": ["clicks_1d"], "functions": {"n": "count(*)", "days": "count(*) / 7"}, "name": "{group}_{function}_{window}"},
            {"f_n_clicks_1d": ("count(*)", "clicks_1d"), "f_days_clicks_1d": ("count(*) / 7", "clicks_1d")},
        ),
        (
            {"from": "product", "columns": ["brand", "weight"]},
            {"product_brand": ("brand", None), "product_weight": ("weight", None)},
        ),
        ({"columns": ["user", "item"]}, {"user": ("user", None), "item": ("item", None)}),
        (
            {"columns": ["product.brand"], "functions": ["lower"], "name": "my_{column}"},
            {"my_product_brand": ("lower(product.brand)", None)},
        ),
        ({"columns": ["price"], "expr": "{column} * 2"}, {"price_f": ("price * 2", None)}),
    ],
)
def test_an_entry_stands_for(entry: dict[str, Any], expected: dict[str, Any]) -> None:
    assert expanded(entry) == expected


def test_what_all_of_an_entry_share() -> None:
    entry = {"columns": ["user", "item"], "kind": "categorical", "encoding": "hash"}
    features = made(**{"features.features": {"ids": entry}}).features[1:]
    assert [(f.name, f.kind, f.group, f.path) for f in features] == [
        ("user", Kind.CATEGORICAL, "ids", "features.features.ids[user]"),
        ("item", Kind.CATEGORICAL, "ids", "features.features.ids[item]"),
    ]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({}, "features.features.f: it has no expr (or columns and functions, the short form)."),
        ({"expr": "price", "name": "x"}, "features.features.f.name: name is for short forms; this feature is called what its entry is."),
        (
            {"expr": "{column}", "columns": ["price"], "functions": ["abs"]},
            "features.features.f: an entry has expr or functions, not both.",
        ),
        ({"over": [], "columns": "price", "functions": "sum"}, "features.features.f.over: it names no window."),
        ({"over": "visits_3", "columns": "price"}, "features.features.f: over a window, columns need functions."),
        (
            {"over": "visits_3", "columns": "price", "functions": ["count(*)"]},
            "features.features.f.functions: 'count(*)' does not say where the column goes: write {column} there.",
        ),
        ({"over": "visits_3", "functions": ["sum"]}, "features.features.f.functions: 'sum({column})' needs columns."),
        (
            {"over": "visits_3", "columns": "price", "functions": "sum", "name": "{windw}_{column}"},
            "features.features.f.name: there is no {windw} here. Did you mean 'window'?",
        ),
        (
            {"over": ["visits_3", "visits_3"], "columns": "price", "functions": "sum"},
            "features.features.f: it makes a feature 'visits_3_price_sum', as features.features.f does.",
        ),
        (
            {"over": ["visits_3", "visit"], "columns": "price", "functions": "sum"},
            "features.features.f.over: there is no window 'visit'. Did you mean 'visits_3'?",
        ),
        (
            {"over": "visits_3", "columns": ["price", "user"], "functions": "sum"},
            "features.features.f[visits_3_user_sum].expr: column 5: x of sum(x) is string; it takes smallint, int, bigint, float, double.",
        ),
    ],
)
def test_mistakes(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        expanded(entry)
    assert [str(error) for error in caught.value.errors] == [message]


# --- patterns ---

FEATURES = {
    "when": {"expr": "at_time", "kind": "drop"},
    "user_name": {"expr": "user"},
    "item_id": {"expr": "item"},
    "sold": {"from": "product", "expr": "sold"},
    "weight": {"from": "product", "expr": "weight"},
    "clicks": {"over": ["clicks_1d", "clicks_7d"], "expr": "count(*)"},
}


def names(**changes: Any) -> list[str]:
    return [f.name for f in made(**{"features.features": FEATURES, "features.label": {"feature": "sold"}, **changes}).features]


@pytest.mark.parametrize(
    ("select", "drop", "expected"),
    [
        ([], [], "id_1 when user_name item_id id_2 sold weight id_3 clicks_1d_clicks clicks_7d_clicks"),
        ("user*", [], "id_1 when user_name id_2 sold"),
        (["*_7d_*", "weight"], [], "id_1 when id_2 sold weight id_3 clicks_7d_clicks"),
        ([], "*click*", "id_1 when user_name item_id id_2 sold weight"),
        ([], ["wh?n", "s*"], "id_1 user_name item_id id_2 sold weight id_3 clicks_1d_clicks clicks_7d_clicks"),
        ("*", "*", "id_1 id_2 sold"),
    ],
)
def test_select_and_drop(select: Any, drop: Any, expected: str) -> None:
    assert " ".join(names(**{"features.select": select, "features.drop": drop})) == expected


def test_named_keys_stay_with_their_queries() -> None:
    keys = {"features.query": {"keys": ["first", "second", "third"]}}
    assert names(**keys, **{"features.label": None, "features.drop": ["sold", "weight"]})[::4] == ["first", "third"]


def test_a_pattern_that_matches_nothing() -> None:
    with pytest.raises(ConfigErrors) as caught:
        names(**{"features.select": ["user_nam"]})
    assert str(caught.value) == "features.select: 'user_nam' matches no feature. Did you mean 'user_name'?"


# --- SQL for OpenMLDB alone ---


def test_raw_sql_goes_in_as_it_is() -> None:
    entry = {"expr": "array_contains([1, 2], item) ", "openmldb_only": True, "type": "bool"}
    over = {"expr": "sum(`cost`) over clicks_7d + 1", "over": "clicks_7d", "openmldb_only": True, "type": "float"}
    joined = {"expr": "`product`.`brand`", "from": "product", "openmldb_only": True, "type": "string"}
    feature_set = made(**{"features.features": {"a": entry, "b": over, "c": joined}})
    assert [f.openmldb_only for f in feature_set.features] == [False, True, False, True, False, True]
    sql = query(feature_set, "0.9")
    assert "    array_contains([1, 2], item) as a\n" in sql
    assert "    sum(`cost`) over clicks_7d + 1 as b\n" in sql
    assert "    `product`.`brand` as c\n" in sql
    assert "window clicks_7d as (" in sql
    assert "last join `item` as `product`" in sql


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a) as b, (c", "column 2: nothing opens this ')'."),
        ("f(a]", "column 4: nothing opens this ']'."),
        ("f(a", "column 2: nothing closes this '('."),
        ("a -- b", "column 3: an expression cannot hold '--'."),
        ("a; drop table t", "column 2: an expression cannot hold ';'."),
        ("a, b", "column 2: a feature is one expression."),
        ("concat('a", "column 8: this is not closed."),
        (" ", "column 1: the expression is empty."),
    ],
)
def test_raw_sql_stays_in_its_place(text: str, message: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        made(**{"features.features": {"a": {"expr": text, "openmldb_only": True, "type": "int"}}})
    assert str(caught.value) == f"features.features.a.expr: {message}"


def test_raw_sql_says_its_type_and_nothing_else_does() -> None:
    features = {"a": {"expr": "1", "openmldb_only": True}, "b": {"expr": "1", "type": "int"}}
    with pytest.raises(ConfigErrors) as caught:
        made(**{"features.features": features})
    assert [str(error) for error in caught.value.errors] == [
        "features.features.a: the type of an openmldb_only expression has to be said: type: string, for example.",
        "features.features.b.type: only an openmldb_only expression says its type; write cast(x as type).",
    ]

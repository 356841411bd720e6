"""docs/features.md: every example of its sections works, put into the feature set at the top of the page."""

from __future__ import annotations

import copy
import re
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
import yaml

from jdrec.config import load
from jdrec.dataset.tables import open_tables
from jdrec.engines import extract
from jdrec.engines.embedded.planner import make_plan
from jdrec.errors import CheckError
from jdrec.features import compiler
from jdrec.features.resolve import resolve
from jdrec.features.spec import FeatureSet
from jdrec.progress import Progress
from tests.composing import composed
from tests.conftest import REPO

PAGE = REPO / "docs" / "features.md"
OTHER_TABLES = {  # that the examples of joins speak of
    "prices": {"path": "prices", "columns": {"sku_id": "string", "since": "timestamp", "price": "double"}},
    "makers": {"path": "makers", "columns": {"brand": "string", "country": "string"}},
}


@cache
def blocks() -> dict[str, list[str]]:
    """The indented YAML of each section, by its heading."""
    found: dict[str, list[str]] = {}
    for section in re.split(r"^#+ ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        parts = re.findall(r"(?:^ {4}.*\n)+", text, re.MULTILINE)
        found[heading] = [re.sub(r"^ {4}", "", part, flags=re.MULTILINE) for part in parts if "python -m" not in part]
    page = PAGE.read_text(encoding="utf-8")
    top = re.search(r"(?:^ {4}.*\n|^\n)+", page[page.index("    request:") :], re.MULTILINE)
    assert top is not None
    found["top"] = [re.sub(r"^ {4}", "", top[0], flags=re.MULTILINE)]
    return found


def feature_set(changes: dict[str, Any], *, tables: dict[str, Any] | None = None) -> FeatureSet:
    """The feature set at the top of the page with entries added to its sections."""
    values = msgspec.to_builtins(composed())
    features = copy.deepcopy(yaml.safe_load(blocks()["top"][0]))
    for section, entries in changes.items():
        features[section] = {**features.get(section, {}), **entries} if isinstance(entries, dict) else entries
    values["dataset"]["tables"] |= tables or {}
    return resolve(load({**values, "features": features}))


def added(changed: FeatureSet) -> list[str]:
    """Names of the features that the one at the top has not."""
    known = {feature.name for feature in feature_set({}).features}
    return [feature.name for feature in changed.features if feature.name not in known and not feature.is_block_key]


def derived() -> FeatureSet:
    columns, window = blocks()["Derived columns"]
    features = {
        "user_kinds_7d": {"over": "user_actions_7d", "expr": "distinct_count(type)"},
        "same_product_7d": {"over": "user_actions_7d", "expr": "count_where(type, sku_id = '1')"},
    }
    return feature_set({**yaml.safe_load(columns), "windows": yaml.safe_load(window), "features": features})


def joined() -> FeatureSet:
    (block,) = blocks()["Joins"]
    features = {
        "cost": {"from": "price", "expr": "price"},
        "country": {"expr": "maker.country"},
        "brands": {"over": "user_14d", "expr": "distinct_count(product.br)"},
    }
    return feature_set({"joins": yaml.safe_load(block), "features": features}, tables=OTHER_TABLES)


def short() -> FeatureSet:
    (block,) = blocks()["Short forms"]
    top = yaml.safe_load(blocks()["top"][0])
    again = {**top["windows"]["pair_7d"], "range": "14d"}
    return feature_set({"windows": {"pair_14d": again}, "features": yaml.safe_load(block)})


def of_your_own() -> FeatureSet:
    (block,) = blocks()["SQL of your own"]
    request = msgspec.to_builtins(composed())["dataset"]["tables"]["flattenRequest"]
    request["columns"]["tags"] = "string"
    return feature_set({"features": yaml.safe_load(block)}, tables={"flattenRequest": request})


def test_derived_columns(shared: Path, tmp_path: Path) -> None:
    """The window by user over behaviour, on the real tables."""
    found = derived()
    root = shared / "jd-recommendation"
    extract(found, open_tables(found, root, found.timezone), tmp_path / "x.parquet", threads=1, progress=Progress.silent())
    kinds = pq.read_table(tmp_path / "x.parquet", columns=["user_kinds_7d"])["user_kinds_7d"].to_pylist()
    assert (len(kinds), sum(kind > 0 for kind in kinds)) == (13_916, 2_863)


def test_joins() -> None:
    found = joined()
    assert added(found) == ["cost", "country", "brands"]
    assert found.joins["maker"].keys == (("product", "br", "brand"),)
    assert found.joins["price"].condition_text == "since < flattenRequest.eventTime and price > 0"
    make_plan(found)


def test_short_forms_have_the_names_in_the_comments() -> None:
    found = short()
    make_plan(found)
    names = [
        f"{window}_{column}_{what}"
        for window in ("pair_7d", "pair_14d")
        for column in ("type", "model_id")
        for what in ("distinct_count", "top3")
    ]
    assert set(added(found)) == {*names, "pair_7d_actions", "pair_14d_actions", "product_a1", "product_a2", "product_a3", "product_br"}
    text = blocks()["Short forms"][0]
    assert set(re.findall(r"pair_\w+_\w+(?=[,\s.])", " ".join(re.findall(r"#.*", text)))) <= set(names) | {
        "pair_7d_actions",
        "pair_14d_actions",
    }
    assert found.by_name["pair_14d_model_id_top3"].text == "topn_frequency(model_id, 3)"


def test_a_list_of_functions_and_a_pattern_of_names() -> None:
    entry = {"over": "user_14d", "columns": "sku_id", "functions": ["count", "topn_frequency({column}, 3)"]}
    assert added(feature_set({"features": {"own": entry}})) == ["user_14d_sku_id_count", "user_14d_sku_id_topn_frequency_3"]
    named = {**entry, "name": "{column}_{function}_{window}_{group}"}
    assert added(feature_set({"features": {"own": named}})) == ["sku_id_count_user_14d_own", "sku_id_topn_frequency_3_user_14d_own"]


@pytest.mark.parametrize(
    ("choice", "kept"),
    [
        ({"drop": ["pair_*", "user_*"]}, ["weekday", "bought", "brand"]),
        ({"select": ["user_*", "*_7d"]}, ["user_pairs_14d", "bought", "pair_types_7d"]),
        ({"select": "brand"}, ["bought", "brand"]),
    ],
)
def test_select_and_drop(choice: dict[str, Any], kept: list[str]) -> None:
    assert [feature.name for feature in feature_set(choice).features if not feature.is_block_key] == kept


def test_sql_of_your_own_is_for_openmldb() -> None:
    found = of_your_own()
    assert added(found) == ["on_sale", "pace"]
    with pytest.raises(CheckError, match="the embedded engine does not compute SQL that is openmldb_only"):
        make_plan(found)


@pytest.mark.compiler
@pytest.mark.parametrize(("example", "deployable"), [(derived, False), (joined, True), (short, True), (of_your_own, True)])
def test_openmldbs_compiler_takes_them(example: Any, deployable: bool) -> None:
    compiler.check(example(), deployable=deployable)

"""The SQL of the shipped feature sets, as files to read and review: tests/golden/<name>/. `pytest --update-golden` rewrites them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from jdrec.config import Config
from jdrec.features import compiler
from jdrec.features.resolve import resolve
from jdrec.features.sql import FILES, render
from tests.conftest import REPO
from tests.features.small import shipped

PLACES = {"data_dir": "/data/jd-recommendation", "output": "/data/out/1"}
GOLDEN = {
    "jd_tutorial_0.6": ("jd_tutorial", {"version": "0.6"}),
    "jd_tutorial": ("jd_tutorial", {}),
    "jd_tutorial_online": ("jd_tutorial", {"indexes": True, "range_bias": "20d", "rows_bias": "inf"}),
    "jd_deepfm": ("jd_deepfm", {}),
}


def config_of(name: str) -> Config:
    features, openmldb = GOLDEN[name]
    return shipped(features, openmldb={**PLACES, **openmldb})


@pytest.mark.parametrize("name", GOLDEN)
def test_rendered_sql_is_the_golden_one(name: str, golden: Callable[[str, str], None]) -> None:
    config = config_of(name)
    for file, text in render(resolve(config), config, "/run").items():
        golden(f"{name}/{file}", text)


def test_options_change_nothing_else() -> None:
    """Indexes are added to the tables, options to the deployment, and the rest stays."""
    plain, online = (REPO / "tests" / "golden" / name for name in ("jd_tutorial", "jd_tutorial_online"))
    for file in FILES:
        text = (online / file).read_text("utf-8")
        text = re.sub(r", INDEX\(KEY=\([^)]*\)(?:, TS=\w+)?, TTL_TYPE=\w+, TTL=(?:\w+|\([^)]*\))\)", "", text)
        text = text.replace(" OPTIONS(RANGE_BIAS='20d', ROWS_BIAS='inf')", "")
        assert text == (plain / file).read_text("utf-8")


@pytest.mark.compiler
@pytest.mark.parametrize("name", ["jd_tutorial", "jd_deepfm"])
def test_golden_queries_compile_in_both_modes(name: str) -> None:
    feature_set = resolve(config_of(name))
    folder = REPO / "tests" / "golden" / name
    offline = (folder / "select_features.sql").read_text("utf-8").split(";\n", 1)[1].split("INTO OUTFILE")[0]
    deployed = (folder / "deploy.sql").read_text("utf-8").split("DEPLOY demo\n", 1)[1].rstrip().removesuffix(";")
    assert offline.split() == deployed.split()
    compiled = compiler.check_sql(feature_set, deployed)
    assert compiled.columns == tuple((feature.name, feature.type) for feature in feature_set.features)

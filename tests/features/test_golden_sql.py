"""The SQL of the shipped experiments, as files to read and review: tests/golden/<name>/. `pytest --update-golden` rewrites them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore

from jdrec.composition import typed
from jdrec.config import Config, defaults
from jdrec.features import compiler
from jdrec.features.resolve import resolve
from jdrec.features.sql import FILES, render
from jdrec.paths import CONF
from tests.conftest import REPO

EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
VARIANTS = {
    "jd_tutorial_0.6": ("jd_tutorial", ["openmldb.version=0.6"]),
    "jd_tutorial_online": ("jd_tutorial", ["openmldb.indexes=true", "openmldb.range_bias=20d", "openmldb.rows_bias=inf"]),
}
GOLDEN: dict[str, tuple[str, list[str]]] = {**{name: (name, []) for name in EXPERIMENTS}, **VARIANTS}


def config_of(name: str) -> Config:
    """The configuration as the command line composes it."""
    experiment, overrides = GOLDEN[name]
    data = "/data/jd-recommendation" if experiment.startswith("jd_") else f"/data/{experiment}"
    places = [f"dataset.root={data}", f"openmldb.data_dir={data}", "openmldb.output=/data/out/1"]
    ConfigStore.instance().store(name="schema_defaults", node=defaults())
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return typed(compose("config", [f"+experiment={experiment}", *places, *overrides]))


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
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_golden_queries_compile_in_both_modes(name: str) -> None:
    config = config_of(name)
    feature_set = resolve(config)
    folder = REPO / "tests" / "golden" / name
    offline = (folder / "select_features.sql").read_text("utf-8").split(";\n", 1)[1].split("INTO OUTFILE")[0]
    deployed = (folder / "deploy.sql").read_text("utf-8").split("DEPLOY demo\n", 1)[1].rstrip().removesuffix(";")
    assert re.sub(r"(bigint\(`\w+`\)) \+ 0 as", r"\1 as", offline).split() == deployed.split()  # see sql._BlockView._source
    compiled = compiler.check_sql(feature_set, deployed, deployable=config.openmldb.deployable)
    assert compiled.columns == tuple((feature.name, feature.type) for feature in feature_set.features)

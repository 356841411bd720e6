"""Fixtures that all rooms share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
SHARED = REPO.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the real tables, goldens and the tutorial; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("../shared is not here")
    return SHARED


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what is rendered into tests/golden/ instead of comparing")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with tests/golden/<name>, or writes it there: `pytest --update-golden`, then read the diff."""

    def compare(name: str, text: str) -> None:
        path = REPO / "tests" / "golden" / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"{path} is missing: run pytest --update-golden"
        assert text == path.read_text(encoding="utf-8"), f"{path} differs: run pytest --update-golden and read the diff"

    return compare


def needs_module(module: str, extra: str) -> None:
    """Skips for a user, fails in CI, where a component is missing."""
    try:
        found = __import__("importlib.util").util.find_spec(module) is not None
    except (ImportError, ValueError):
        found = False
    if found:
        return
    message = f"{module} is not installed (pip install 'jdrec[{extra}]')"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


def _needs_spark() -> None:
    """OpenMLDB's batch engine: PySpark, Java and the jars."""
    from jdrec.engines.spark import jars, java, pyspark_folder
    from jdrec.errors import JdrecError

    try:
        pyspark_folder(), java.find(None), jars.find(jars.default_folder())
    except JdrecError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


def _needs_browser() -> None:
    from tests.report.chromium import find

    needs_module("vl_convert", "report")
    if find() is None:
        message = "no Chromium on the PATH (apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A missing component is a skip for a user and a failure in CI."""
    needed = (("oneflow", "oneflow"), ("torch", "torch"), ("compiler", "openmldb"), ("triton", "pytriton"))
    for mark, module in needed:
        extra = {"compiler": "openmldb", "triton": "serving"}.get(mark, mark)
        if item.get_closest_marker(mark):
            needs_module(module, extra)
    if item.get_closest_marker("browser"):
        _needs_browser()
    if item.get_closest_marker("spark"):
        _needs_spark()

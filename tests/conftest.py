"""Fixtures that all rooms share."""

from __future__ import annotations

import os
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


def _needs(module: str, extra: str) -> None:
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


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A missing component is a skip for a user and a failure in CI."""
    for mark, module, extra in (("oneflow", "oneflow", "oneflow"), ("compiler", "openmldb", "openmldb"), ("triton", "pytriton", "serving")):
        if item.get_closest_marker(mark):
            _needs(module, extra)

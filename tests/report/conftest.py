from __future__ import annotations

import pytest

from jdrec.stages import Run
from tests.conftest import needs_module
from tests.report.made import make_finished_run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run with its page; tests only read it."""
    needs_module("vl_convert", "report")
    return make_finished_run(tmp_path_factory.mktemp("finished"))

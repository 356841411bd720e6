"""One exported model of every type of column, and one Triton that serves it, for the tests that only ask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jdrec.serving.triton import TritonServer
from tests.serving.small_definitions import every_type
from tests.serving.small_models import configuration, export_run, run_folder


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    folder = run_folder(tmp_path_factory.mktemp("run"), every_type(), numeric=2)
    export_run(folder, every_type(), configuration())
    return folder


@pytest.fixture(scope="session")
def triton(run) -> Iterator[TritonServer]:
    with TritonServer(run / "triton", model="embedding", version=1, log_file=run / "triton.log") as server:
        yield server

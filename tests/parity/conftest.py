"""One Spark session for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jdrec.engines.spark.session import Session
from tests.parity.judge import open_judge


@pytest.fixture(scope="package")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with open_judge(tmp_path_factory.mktemp("spark")) as opened:
        yield opened

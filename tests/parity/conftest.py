"""One Spark session for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jdrec.engines.spark.session import Session
from tests.parity.judge import Judge


@pytest.fixture(scope="package")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    with Judge(tmp_path_factory.mktemp("spark")) as opened:
        yield opened


@pytest.fixture
def session(judge: Judge) -> Session:
    return judge.session

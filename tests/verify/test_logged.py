"""Verification of a service's own request log: what it answered then, and what a replay answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jdrec.errors import DataError, DifferenceError
from jdrec.online.session import RequestSession
from jdrec.serving.request_log import schema
from jdrec.stages import Run
from jdrec.verify.offline import model_of
from jdrec.verify.run import verify
from tests.verify.small_run import START, make_run, with_config

LOGGED = 20


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("run"))


def write_log(run: Run, folder: Path, *, stores: bool = True, preload: list[str] | None = None, **changes: Any) -> None:
    """What a service with these tables loaded, by default all, logs of requests that come later, in two files."""
    session = RequestSession(run.feature_set, run.tables, preload=preload)
    encoder, scorer = model_of(run)
    rows = []
    for number in range(LOGGED):
        row = {"id": f"n{number}", "at": START + 3_600_000 + 500 * number, "reader": f"r{number % 3}", "ad": 1, "price": 0.5}
        row |= {"day": None, "flag": True}
        batch = session.compute([row])
        ids = encoder.encode(batch)
        if stores:
            session.insert("request", [row])
        rows.append(
            {
                "request_id": str(number),
                "received": row["at"],
                "row": 0,
                "model": "embedding",
                "version": 1,
                "score": float(scorer.scores(ids)[0, 0]),
                "stored": stores or None,
                "ids": ids[0].tolist(),
                **{f"request.{name}": value for name, value in row.items()},
                **{f"feature.{name}": value for name, value in batch.to_pylist()[0].items()},
                **{name: value(number) for name, value in changes.items()},
            }
        )
    folder.mkdir()
    for part in range(2):
        table = pa.Table.from_pylist(rows[part * 10 : part * 10 + 10], schema(run.feature_set))
        pq.write_table(table, folder / f"requests-20160331T00000{part}.000Z-00000{part}.parquet")


def counts(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if not line.startswith("largest difference")]


def test_what_was_answered_and_a_replay_equal_the_batch(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_log(run, tmp_path / "log")
    verify(with_config(run, verify={"requests": str(tmp_path / "log")}))
    same = f"{LOGGED} requests, 13 features, 8 ids, {LOGGED} scores: 0 differ"
    assert counts(capsys) == [f"as logged: {same}", f"replayed: {same}"]


def test_a_service_that_started_without_requests(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tables = ["event", "ad", "outcome"]
    write_log(run, tmp_path / "log", preload=tables)
    verify(with_config(run, verify={"requests": str(tmp_path / "log")}, online={"preload": tables}))
    assert counts(capsys)[1] == f"replayed: {LOGGED} requests, 13 features, 8 ids, {LOGGED} scores: 0 differ"
    with pytest.raises(DifferenceError, match="own_"):
        verify(with_config(run, verify={"requests": str(tmp_path / "log")}))


def test_a_limit(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_log(run, tmp_path / "log")
    verify(with_config(run, verify={"requests": str(tmp_path / "log"), "limit": 12}))
    assert counts(capsys)[0] == "as logged: 12 requests, 13 features, 8 ids, 12 scores: 0 differ"


def test_requests_that_were_not_stored_are_seen_offline_alone(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_log(run, tmp_path / "log", stores=False)
    with pytest.raises(DifferenceError, match=r"own_count|own_price"):
        verify(with_config(run, verify={"requests": str(tmp_path / "log")}))
    out = capsys.readouterr().out
    assert "20 of 20 logged requests were not stored, and windows over request see them offline: serving.store_requests=true" in out


def test_an_answer_that_was_wrong_then_is_right_in_the_replay(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_log(run, tmp_path / "log", **{"feature.brand": lambda number: "old" if number == 4 else "b11", "score": lambda number: 0.5})
    with pytest.raises(DifferenceError, match="offline and log are not the same: brand, score"):
        verify(with_config(run, verify={"requests": str(tmp_path / "log")}))
    out = capsys.readouterr().out.splitlines()
    assert f"brand: 1 of {LOGGED} values differ" in out
    assert "  'n4' (row 4): offline 'b11', log 'old'" in out
    assert out[-1].startswith("replayed: ") and out[-1].endswith(": 0 differ")


def test_answers_of_other_models_are_not_compared(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_log(run, tmp_path / "log", version=lambda number: 1 if number < 15 else 2, score=lambda number: 0.5)
    with pytest.raises(DifferenceError):
        verify(with_config(run, verify={"requests": str(tmp_path / "log")}))
    out = capsys.readouterr().out.splitlines()
    assert "5 requests were answered by other models: their ids and scores are not compared" in out
    assert "as logged: 20 requests, 13 features, 8 ids, 15 scores: 15 differ (15 scores)" in out


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: [file.unlink() for file in folder.iterdir()], "the request log in .* has no rows yet"),
        (
            lambda folder: [pq.write_table(pq.read_table(file).drop_columns(["request.ad"]), file) for file in folder.iterdir()],
            r"was written for other columns: 'request\.ad' is only in the run",
        ),
    ],
)
def test_logs_that_cannot_be_read(spoil: Any, message: str, run: Run, tmp_path: Path) -> None:
    write_log(run, tmp_path / "log")
    spoil(tmp_path / "log")
    with pytest.raises(DataError, match=message):
        verify(with_config(run, verify={"requests": str(tmp_path / "log")}))

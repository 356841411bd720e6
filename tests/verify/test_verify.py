"""task=verify in process: equality of what is equal, and one example of everything that is not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from jdrec.errors import DataError, DifferenceError, StageError
from jdrec.stages import Run
from jdrec.verify.run import verify
from tests.verify.small_run import REQUESTS, change, make_run, with_config

SAME = f"{REQUESTS} requests, 13 features, 8 ids, {REQUESTS} scores: 0 differ"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture
def run(original: Run, tmp_path: Path) -> Run:
    """A copy that a test may spoil."""
    shutil.copytree(original.folder, tmp_path / "run")
    return with_config(Run(original.config, tmp_path / "run", original.progress))


def said(run: Run, capsys: pytest.CaptureFixture[str]) -> list[str]:
    with pytest.raises(DifferenceError):
        verify(run)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    "settings", [{}, {"batch": 50}, {"insert": "requests"}, {"insert": "requests", "batch": 1000}], ids=lambda settings: str(settings)
)
def test_a_replay_in_order_of_arrival_gives_the_batch(
    settings: dict[str, object], original: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    verify(with_config(original, verify=settings))
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == SAME
    assert f"samples: {REQUESTS} rows of train, valid, test" in out
    assert json.loads((original.folder / "verify.json").read_text())[0]["differences"] == 0


def test_a_limit_takes_the_requests_that_arrived_first(original: Run, capsys: pytest.CaptureFixture[str]) -> None:
    verify(with_config(original, verify={"limit": 7}))
    assert capsys.readouterr().out.splitlines()[-1] == "7 requests, 13 features, 8 ids, 7 scores: 0 differ"


def test_everything_loaded_first_is_not_what_offline_saw(original: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """The request is in its own windows twice then, and so are later requests of the same moment."""
    out = said(with_config(original, verify={"insert": "none", "examples": 1}), capsys)
    differing = {line.partition(":")[0] for line in out if line.endswith("differ") and not line.startswith("id of")}
    assert differing - {"score"} <= {"own_count", "own_price"}
    assert any(line.startswith("own_count: ") for line in out)
    assert any(line.startswith("id of own_count: ") for line in out)


def test_a_changed_feature_is_named_with_key_and_both_values(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    key = pq.read_table(run.folder / "features.parquet")["id_1"][5].as_py()
    change(run.folder / "features.parquet", "sum_n", 5, 1000)
    out = said(run, capsys)
    assert f"sum_n: 1 of {REQUESTS} values differ" in out
    example = next(line for line in out if line.startswith(f"  '{key}' (row 5): offline 1000, online "))
    assert example
    # The samples still have the old id, and so does the online path.
    assert out[-1] == f"{REQUESTS} requests, 13 features, 8 ids, {REQUESTS} scores: 1 differ (1 values)"


def test_a_changed_sample_is_a_wrong_id_and_score(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    known = int(pq.read_table(run.samples / "test.parquet")["f_reader"][1].as_py())
    change(run.samples / "test.parquet", "f_reader", 0, known + 1)
    out = said(run, capsys)
    assert f"id of f_reader: 1 of {REQUESTS} ids differ" in out
    assert any(line.endswith("(1 ids, 1 scores)") for line in out[-1:])


def test_the_label_is_not_compared(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Online it is not known yet; here the table that it comes from is not even there."""
    table = pq.read_table(run.folder / "tables" / "outcome" / "part.parquet")
    shutil.copytree(run.folder / "tables", run.folder / "others")
    pq.write_table(table.slice(0, 0), run.folder / "others" / "outcome" / "part.parquet")
    verify(with_config(run, run.folder / "others"))
    assert capsys.readouterr().out.splitlines()[-1] == SAME


def test_requests_that_one_side_has_alone_are_missing_or_extra(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    change(run.folder / "features.parquet", "id_1", 3, "nobody")
    key = pq.read_table(run.folder / "tables" / "request" / "part.parquet")["id"][3].as_py()
    out = said(run, capsys)
    assert "1 request missing (offline, not online)" in out
    assert "1 request extra (online, not offline)" in out
    assert f"  '{key}': features.parquet has no such request" in out
    assert out[-1].endswith("2 differ (1 missing, 1 extra)")


def test_other_tables_than_those_of_the_samples_are_said(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    samples = pq.read_table(run.samples / "train.parquet")
    pq.write_table(samples.slice(1), run.samples / "train.parquet")
    verify(run)
    out = capsys.readouterr().out
    assert "samples: left out, they have [71, 24, 24] rows and features.parquet gives [72, 24, 24]" in out


def test_scores_may_differ_by_rounding_alone(original: Run, capsys: pytest.CaptureFixture[str]) -> None:
    from jdrec.verify.offline import Offline
    from jdrec.verify.report import Report

    offline = Offline.of_run(original)
    report = Report("online", "bought", 0.0, 1e-6, 3)
    rows = np.arange(4)
    expected = offline.scores(rows)
    found = expected + np.array([0, 9e-7, -9e-7, 2e-6])
    report.add_model(offline, rows, rows, offline.ids[:4], found)
    assert report.scores.differing == {"score": 1}
    assert [example.row for example in report.scores.examples] == [3]
    assert report.largest == pytest.approx(2e-6)


def test_nan_is_null_for_a_service_alone() -> None:
    import pyarrow as pa

    from jdrec.verify.report import without_nan

    assert without_nan(pa.array([1.0, float("nan"), None])).to_pylist() == [1.0, None, None]


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda run: (run.folder / "features.parquet").unlink(), StageError, "features.parquet is missing. Run task=extract"),
        (lambda run: (run.samples / "encoder.json").unlink(), StageError, "encoder.json is missing"),
        (
            lambda run: change_columns(run.folder / "features.parquet"),
            StageError,
            "features.parquet was made for other features than the run's",
        ),
        (lambda run: empty(run.folder / "tables" / "request" / "part.parquet"), DataError, "the request table 'request' has no rows"),
    ],
)
def test_what_cannot_be_verified_is_one_message(spoil, error, message, run: Run) -> None:  # type: ignore[no-untyped-def]
    spoil(run)
    with pytest.raises(error, match=message):
        verify(with_config(run))


def change_columns(file: Path) -> None:
    pq.write_table(pq.read_table(file).drop_columns(["brand"]), file)


def empty(file: Path) -> None:
    pq.write_table(pq.read_table(file).slice(0, 0), file)

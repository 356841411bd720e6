"""Time folds by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from jdrec import preprocess
from jdrec.config import PreprocessConfig, SplitConfig
from jdrec.errors import ConfigError, DataError
from jdrec.preprocess.encoder import Encoder
from jdrec.preprocess.folds import fold_rows
from jdrec.preprocess.splits import OUT, assign
from jdrec.progress import Progress
from tests.preprocess.small import BOUGHT, CLICKS, TIME, feature_set, write

SPLIT = SplitConfig(by="time", train=0.8, test=0.1)
TIMES = np.arange(24) * 10
LABELS = (np.arange(24) % 2).astype(np.float32)


def fold(number: int, horizon: int | None = None, times: np.ndarray = TIMES, known: np.ndarray | None = None) -> list[str]:
    """Each row's split as a letter."""
    known = np.ones(len(times), bool) if known is None else known
    rows = assign(LABELS[: len(times)], known, times, SPLIT, seed=1)
    return ["TVE-"[code] for code in fold_rows(rows, LABELS[: len(times)], times, SPLIT, number, 3, horizon).split]


def test_training_grows_and_the_newest_rows_watch() -> None:
    assert "".join(fold(1)) == "TTTTTVEEEEEE------------"
    assert "".join(fold(2)) == "TTTTTTTTTTVVEEEEEE------"
    assert "".join(fold(3)) == "TTTTTTTTTTTTTTTTVVEEEEEE"


def test_rows_without_a_complete_label_are_left_out() -> None:
    assert "".join(fold(2, horizon=25)) == "TTTTTTTTVV--EEEEEE------"  # 100 and 110 are within 25 of 120


def test_what_the_split_leaves_out_no_fold_has() -> None:
    known = TIMES != 130
    assert fold(2, known=known)[13] == "-"
    assert OUT == 3


def test_rows_of_equal_time_stay_together() -> None:
    times = np.arange(24) // 2 * 10
    for number in (1, 2, 3):
        letters = fold(number, times=times)
        assert all(len({letter for letter, time in zip(letters, times, strict=True) if time == moment}) == 1 for moment in times)


def test_too_few_rows_are_an_error() -> None:
    with pytest.raises(DataError, match="fold 1 of 3 has no train rows"):
        fold(1, times=TIMES[:4])
    rows = assign(LABELS, np.ones(24, bool), None, SplitConfig(by="row_order"), seed=1)
    with pytest.raises(ConfigError, match="folds are of time"):
        fold_rows(rows, LABELS, TIMES, SplitConfig(by="row_order"), 1, 3, None)


def test_each_fold_has_samples_and_an_encoder_of_its_own(tmp_path: Path) -> None:
    features = feature_set(TIME, BOUGHT, CLICKS)
    count = 120
    columns = {"request_time": list(range(count)), "bought": [i % 2 for i in range(count)], "clicks": list(range(count))}
    file = write(tmp_path / "features.parquet", features, columns)
    config = PreprocessConfig(split=SPLIT, folds=3, keep=["clicks"], buckets=4)
    preprocess.run(features, config, file, tmp_path / "samples", seed=1, observed_until_ms=None, progress=Progress.silent())
    assert sorted(path.name for path in (tmp_path / "samples" / "folds").iterdir()) == ["1", "2", "3"]
    tested = [pq.read_table(tmp_path / "samples" / "folds" / str(k) / "test.parquet")["keep_clicks"].to_pylist() for k in (1, 2, 3)]
    assert tested == [list(range(30, 60)), list(range(60, 90)), list(range(90, 120))]
    bounds = [Encoder.load(tmp_path / "samples" / "folds" / str(k) / "encoder.json").fields[0].bounds for k in (1, 3)]
    assert bounds[0][-1] < 30 < bounds[1][-1]  # quantiles of the fold's own training rows

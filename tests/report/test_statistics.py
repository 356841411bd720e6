"""The numbers behind the page: drift, curves, Student's t, permutation importance."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jdrec.config import ImportanceConfig
from jdrec.progress import Progress
from jdrec.report import curves, features, filters, student
from jdrec.report.charts.training import validation_auc
from jdrec.report.importance import permute
from jdrec.stages import Run

SPLIT = np.array([0] * 6 + [1] * 2 + [2] * 2 + [3], np.uint8)  # train, valid, test, left out


def column(values: list[object], type_: pa.DataType) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, type_)])


def test_psi_of_known_distributions() -> None:
    assert features.psi(np.array([0.5, 0.5]), np.array([0.5, 0.5])) == 0
    assert features.psi(np.array([0.5, 0.5]), np.array([0.8, 0.2])) == pytest.approx(0.3 * math.log(1.6) + 0.3 * math.log(2.5))
    assert features.psi(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(2 * 0.9999 * math.log(10_000))


def test_statistics_of_texts() -> None:
    values = ["a", "a", "a", "b", "b", None, "a", "c", "c", "d", "z"]
    found = features.statistics(column(values, pa.string()), SPLIT)
    assert (found["distinct"], found["low"], found["mean"]) == (5, None, None)
    assert found["nulls"] == {"train": pytest.approx(1 / 6), "valid": 0, "test": 0}
    assert found["unseen"] == 1.0  # c and d
    assert [(b["name"], b["train"], b["valid"], b["test"]) for b in found["bins"]] == [
        ("a", 0.5, 0.5, 0),
        ("b", 0.333333, 0, 0),
        ("c", 0, 0.5, 0.5),
        ("d", 0, 0, 0.5),
        ("z", 0, 0, 0),
        ("NULL", 0.166667, 0, 0),
    ]


def test_statistics_of_numbers_are_the_training_splits() -> None:
    found = features.statistics(column([3, 1, 2, 2, None, 2, 90, 90, 1, 2, 1000], pa.int64()), SPLIT)
    assert (found["low"], found["high"], found["mean"], found["median"]) == (1, 3, 2.0, 2)
    assert [b["name"] for b in found["bins"]] == ["1", "2", "3", "90", "1000", "NULL"]


def test_many_numbers_share_the_training_splits_deciles() -> None:
    split = np.repeat(np.array([0, 1, 2], np.uint8), 100)
    values = np.concatenate([np.arange(100), np.arange(100), np.arange(100) + 90])
    found = features.statistics(column(values.tolist(), pa.int64()), split)
    assert [b["train"] for b in found["bins"]] == [0.1] * 10
    assert found["bins"][0]["name"] == "up to 9" and found["bins"][1]["name"] == "9 to 19" and found["bins"][9]["name"] == "above 89"
    assert found["psi"]["valid"] == 0 and found["psi"]["test"] > 5
    assert found["bins"][9]["test"] == 1.0 and found["unseen"] == 0.9


def test_moments_have_a_range_by_the_clock_and_no_mean() -> None:
    values = [1459419080000 + 60_000 * k for k in range(11)]
    found = features.statistics(column(values, pa.timestamp("ms", "UTC")), SPLIT, "Asia/Shanghai")
    assert (found["low"], found["high"], found["mean"]) == ("2016-03-31 18:11", "2016-03-31 18:16", None)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=60))
def test_auc_and_the_curves_are_scikit_learns(rows: list[tuple[bool, int]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    labels, scores = np.array([label for label, _ in rows], float), np.array([score for _, score in rows]) / 7
    found = curves.auc(labels, scores)
    if 0 < labels.sum() < len(labels):
        assert found["auc"] == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-6)
        points = curves.roc(labels, scores)
        fpr, tpr, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
        assert np.allclose([(p["fpr"], p["tpr"]) for p in points], np.stack([fpr, tpr], axis=1), atol=1e-5)
    else:
        assert found["auc"] is None


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    random = np.random.default_rng(0)
    scores = random.random(50_000)
    labels = (random.random(50_000) < scores).astype(float)
    points = curves.roc(labels, scores)
    assert len(points) <= curves.POINTS and points[0] == {"fpr": 0, "tpr": 0} and points[-1] == {"fpr": 1, "tpr": 1}
    area = sum((b["fpr"] - a["fpr"]) * (a["tpr"] + b["tpr"]) / 2 for a, b in itertools.pairwise(points))
    assert area == pytest.approx(curves.auc(labels, scores)["auc"], abs=1e-3)
    assert len(curves.precision_recall(labels, scores)) <= curves.POINTS


def test_calibration_of_calibrated_scores_is_within_its_intervals() -> None:
    random = np.random.default_rng(1)
    scores = random.random(30_000)
    bins = curves.calibration((random.random(30_000) < scores).astype(float), scores)
    assert [b["rows"] for b in bins] == [2000] * 15
    assert sum(b["low"] <= b["predicted"] <= b["high"] for b in bins) >= 13


def test_wilson_interval_literally() -> None:
    assert curves.wilson(0.1, 50) == pytest.approx((0.0435, 0.2136), abs=1e-4)
    assert curves.wilson(0.0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)


def test_the_top_of_the_scores() -> None:
    labels = np.array([1, 0, 1] + [0] * 97, float)
    found = {row["share"]: row for row in curves.at_the_top(labels, np.arange(100)[::-1] / 100)}
    assert (found[0.01]["precision"], found[0.01]["recall"], found[0.01]["lift"]) == (1.0, 0.5, 50.0)
    assert (found[0.1]["low"], found[0.1]["high"]) == pytest.approx((0.0567, 0.5098), abs=1e-4)  # Wilson, 2 of 10
    assert (found[0.1]["rows"], found[0.1]["precision"], found[0.1]["recall"]) == (10, 0.2, 1.0)


@pytest.mark.parametrize(("confidence", "degrees", "expected"), [(0.95, 1, 12.7062), (0.95, 4, 2.776445), (0.99, 10, 3.169273)])
def test_quantiles_of_students_t(confidence: float, degrees: int, expected: float) -> None:
    assert student.quantile(confidence, degrees) == pytest.approx(expected, rel=1e-5)
    assert student.two_sided(expected, degrees) == pytest.approx(1 - confidence, rel=1e-4)


def test_welch_and_paired_are_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    a, b = np.array([0.81, 0.83, 0.82, 0.85]), np.array([0.80, 0.79, 0.82, 0.81])
    assert student.welch(a, b) == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)
    assert student.paired(a - b) == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert student.welch(a, b[:1]) is None and student.welch(a[:1].repeat(3), b[:1].repeat(3)) is None


def test_numbers_are_written_for_people() -> None:
    assert [filters.percent(value) for value in (None, 0.0, 0.00001, 0.1234)] == ["–", "0.0 %", "<0.1 %", "12.3 %"]
    assert [filters.duration(value) for value in (0.021, 23.71, 245, 7800)] == ["21 ms", "23.7 s", "4 min 05 s", "2 h 10 min"]
    assert [filters.number(value) for value in (None, 12345, 0.85501, 1234.56)] == ["–", "12,345", "0.8550", "1,234.6"]
    assert [filters.fixed(value, 3) for value in (-0.0001, -0.12, 2.0)] == ["0.000", "-0.120", "2.000"]


def test_the_curve_of_an_auc_that_is_not_defined() -> None:
    """As of one batch of one class, with trainer.overfit_batch."""
    evaluation = {"step": 20, "epoch": 1.0, "auc": math.nan, "logloss": 0.04, "train_loss": 0.3, "learning_rate": 1e-3, "seconds": 1.0}
    ends = {"auc": [math.nan, math.nan], "logloss": [0.03, 0.05]}
    chart = validation_auc([evaluation | {"best": True, "metrics": {}, "interval": ends}])
    point = {"epoch": 1.0, "auc": None, "rate": 1e-3, "low": None, "high": None}
    assert [layer["data"]["values"] for layer in chart.full_spec["layer"]] == [[point], [{"epoch": 1.0, "text": "kept"}], [point]]
    assert chart.rows == [("20", "1.00", "0.30000", "0.04000", "0.0300 to 0.0500", "nan", "–", "1.00e-03", "1.0", "best")]


# --- importance -----------------------------------------------------------------------------------------------------------------


def test_importance_is_seeded_and_only_of_what_the_model_uses(finished: Run) -> None:
    from jdrec.training.data import RawSplit, Split, read_layout
    from jdrec.training.scoring import Scorer

    scorer = Scorer(finished.checkpoint)
    raw = RawSplit.read(finished.samples, "test", read_layout(finished.samples))
    data = Split(raw, scorer.vocabulary)
    scores = scorer.logits(data.rows, data.batch(slice(None)).scale)[:, 0]
    data.labels = (scores > np.median(scores)).astype(np.float32)  # what the model says is true, so that all it uses matters
    brand = [field.name for field in scorer.spec.fields].index("brand")
    scorer._table[np.unique(data.rows[:, brand])] = 0  # but this field: now its rows are all the same
    batch, config = data.batch(slice(None)), ImportanceConfig(repeats=3)
    found = permute(scorer, batch, config, 7, Progress.silent())
    assert found == permute(scorer, batch, config, 7, Progress.silent())
    assert found != permute(scorer, batch, config, 8, Progress.silent())
    by_name = {row["name"]: row for row in found["features"]}
    assert by_name["brand"] == {"name": "brand", "mean": 0.0, "low": 0.0, "high": 0.0}
    assert by_name["f_reader"]["mean"] > 0.01 and by_name["f_price"]["mean"] > 0
    assert all(row["low"] <= row["mean"] <= row["high"] for row in found["features"])


def test_importance_by_logloss_is_its_rise(finished: Run) -> None:
    from jdrec.training.data import RawSplit, Split, read_layout
    from jdrec.training.scoring import Scorer

    scorer = Scorer(finished.checkpoint)
    raw = RawSplit.read(finished.samples, "test", read_layout(finished.samples))
    data = Split(raw, scorer.vocabulary)
    batch = data.batch(slice(None))
    data.labels = (scorer.logits(batch.rows, batch.scale)[:, 0] > 0).astype(np.float32)
    found = permute(scorer, data.batch(slice(None)), ImportanceConfig(repeats=2, metric="logloss"), 7, Progress.silent())
    assert {row["name"]: row["mean"] for row in found["features"]}["f_reader"] > 0

"""What is counted of a model's fields and scores, and what is written of training for comparison."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jdrec.features.spec import NO_VALUE
from jdrec.serving.computed import Rows
from jdrec.serving.drift import Drift, metrics_of
from jdrec.serving.statistics import SCORE_BOUNDS, statistics, unseen
from jdrec.training.scoring import Scorer
from tests.serving.small_definitions import with_fields
from tests.serving.small_models import configuration, encoder, export_run, random_ids, run_folder

FEATURES = with_fields(1, 2)  # id_1 is the key and a field too
NAMES = [feature.name for feature in FEATURES.features]


def drift_of(tmp_path) -> Drift:
    model = export_run(run_folder(tmp_path, FEATURES, numeric=1), FEATURES, configuration())
    return Drift.of(model / "1", encoder(FEATURES), NAMES)


def test_ids_that_training_did_not_see():
    known = np.array([-5, 3, 9], np.int64)
    assert unseen(known, np.array([3, 4, -5, 10, -6, 9], np.int64)) == 3
    assert unseen(known, np.array([NO_VALUE, 3], np.int64)) == 0  # a place of a list that has no value
    assert unseen(np.empty(0, np.int64), np.array([1, 2], np.int64)) == 2


def samples(drift: Drift) -> dict[tuple[str, str], float]:
    """(metric, field or le) to value."""
    found = {}
    for family in metrics_of(iter([("embedding", 1, drift)])):
        for sample in family.samples:
            labels = sample.labels
            assert (labels["model"], labels["version"]) == ("embedding", "1")
            found[sample.name, labels.get("field", labels.get("le", ""))] = sample.value
    return found


def test_fields_and_scores_are_counted(tmp_path):
    drift = drift_of(tmp_path)
    fields = list(drift.names)
    ids = np.zeros((3, len(fields)), np.int64)
    ids[:, 1] = [10, 20, 7]  # known ids are 0, 10, ..., 990
    values = [tuple(None if name == fields[1] and row == 2 else 1 for name in NAMES) for row in range(3)]
    drift.add(Rows(values), ids, np.array([0.0005, 0.3, 0.95001], np.float32))
    found = samples(drift)
    assert found["jdrec_scored_rows_total", ""] == 3
    assert [found["jdrec_field_null_rows_total", name] for name in fields] == [0, 1] + [0] * (len(fields) - 2)
    assert [found["jdrec_field_unseen_rows_total", name] for name in fields[1:]] == [1] + [0] * (len(fields) - 2)
    assert ("jdrec_field_unseen_rows_total", fields[0]) not in found  # a number is never unseen
    assert [found["jdrec_scores_bucket", le] for le in ("0.001", "0.2", "0.5", "0.95", "1.0", "+Inf")] == [1, 1, 2, 2, 3, 3]
    assert found["jdrec_scores_sum", ""] == pytest.approx(1.25051)


def test_training_is_told_beside(tmp_path):
    run = run_folder(tmp_path, FEATURES, numeric=1)
    names = [field.name for field in encoder(FEATURES).fields]
    info = {"splits": {"train": {"rows": 200}}, "fields": [{"name": name, "nulls": {"train": 50}} for name in names]}
    (run / "samples" / "data_info.json").write_text(json.dumps(info))
    ids = random_ids(300, len(names), numeric=1)
    columns = [pa.array(ids[:, 0].view(np.float64)), *(pa.array(ids[:, i]) for i in range(1, len(names)))]
    pq.write_table(pa.table(columns, names=names), run / "samples" / "valid.parquet")
    figures = statistics(run / "samples", run / "checkpoints" / "best")
    known = set(range(0, 1000, 10))
    share = sum(value not in known for value in ids[:, 1].tolist()) / 300
    assert 0 < share < 1
    assert figures["fields"][names[1]] == {"null_ratio": 0.25, "unseen_ratio": pytest.approx(share)}
    assert figures["fields"][names[0]] == {"null_ratio": 0.25}
    scores = Scorer(run / "checkpoints" / "best").scores(ids)[:, 0]
    assert figures["scores"]["rows"] == 300
    assert figures["scores"]["mean"] == pytest.approx(float(scores.mean()), abs=1e-6)
    assert sum(figures["scores"]["counts"]) == 300
    assert figures["scores"]["counts"][SCORE_BOUNDS.index(0.5)] == int(((scores > 0.4) & (scores <= 0.5)).sum())

    model = export_run(run, FEATURES, configuration())
    found = samples(Drift.of(model / "1", encoder(FEATURES), NAMES))
    assert found["jdrec_training_null_ratio", names[0]] == 0.25
    assert found["jdrec_training_unseen_ratio", names[1]] == pytest.approx(share)
    assert found["jdrec_training_score_ratio", "0.5"] == pytest.approx(float((scores <= 0.5).mean()))
    assert found["jdrec_training_score_ratio", "+Inf"] == 1

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from jdrec.errors import StageError
from jdrec.features.spec import Encoding
from jdrec.models import FieldSpec, ModelSpec, build, numpy_nn
from jdrec.training.checkpoint import Checkpoint, TrainingState
from jdrec.training.scoring import Scorer
from jdrec.training.vocabulary import Vocabulary

STATE = TrainingState(24, 2.0, 7, "oneflow 0.9.0", "cpu", {"auc": 0.75, "logloss": 0.5}, {"jdrec": "0.1.0"})


def checkpoint(shift: float = 0.0) -> Checkpoint:
    """One numeric field and one of ids 10 and 20; no hidden layer; dim 1."""
    names, encodings = ("price", "brand"), (Encoding.NUMERIC, Encoding.HASH)
    vocabulary = Vocabulary(names, encodings, (np.empty(0, np.int64), np.array([10, 20])))
    spec = ModelSpec("deepfm", (FieldSpec("price", Encoding.NUMERIC, 1), FieldSpec("brand", Encoding.HASH, 3)), 1, (), 0.5)
    weights = {
        "embedding.weight": np.array([[2, 0.5], [0, 0], [1, 1], [3, -1]], np.float32) + np.float32(shift),
        "dnn.0.weight": np.array([[1, -1]], np.float32),
        "dnn.0.bias": np.array([0.25], np.float32),
    }
    return Checkpoint(spec, vocabulary, weights, STATE)


def test_round_trip(tmp_path: Path) -> None:
    checkpoint().save(tmp_path / "best")
    assert sorted(file.name for file in (tmp_path / "best").iterdir()) == ["checkpoint.json", "model.safetensors"]
    again = Checkpoint.load(tmp_path / "best")
    assert (again.model, again.training) == (checkpoint().model, STATE)
    assert again.weights.keys() == checkpoint().weights.keys()
    assert all(np.array_equal(again.weights[name], array) for name, array in checkpoint().weights.items())
    assert [known.tolist() for known in again.vocabulary.ids] == [[], [10, 20]]


def test_a_metric_that_is_not_defined_is_null(tmp_path: Path) -> None:
    """GAUC where no group has both classes."""
    metrics = {"auc": 0.75, "gauc": math.nan}
    replace(checkpoint(), training=msgspec.structs.replace(STATE, metrics=metrics)).save(tmp_path / "best")
    assert Checkpoint.load(tmp_path / "best").training.metrics == {"auc": 0.75, "gauc": None}


def test_replaces_an_older_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    checkpoint().save(tmp_path / "best")
    checkpoint(shift=1.0).save(tmp_path / "best", lambda folder: (folder / "more").write_text("x"))
    assert Checkpoint.load(tmp_path / "best").weights["embedding.weight"][0].tolist() == [3.0, 1.5]
    assert (tmp_path / "best" / "more").read_text() == "x"
    assert [item.name for item in tmp_path.iterdir()] == ["best"]


def test_a_failure_while_writing_leaves_the_older_one(tmp_path: Path) -> None:
    checkpoint().save(tmp_path / "best")

    def fail(folder: Path) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        checkpoint(shift=1.0).save(tmp_path / "best", fail)
    assert Checkpoint.load(tmp_path / "best").weights["embedding.weight"][0].tolist() == [2.0, 0.5]
    assert [item.name for item in tmp_path.iterdir()] == ["best"]


def test_what_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"checkpoint\.json is missing"):
        Checkpoint.load(tmp_path)
    checkpoint().save(tmp_path / "best")
    description = tmp_path / "best" / "checkpoint.json"
    text = description.read_text()
    description.write_text(text.replace('"format": 1', '"format": 9'))
    with pytest.raises(StageError, match="has checkpoint format 9; this version reads 1"):
        Checkpoint.load(tmp_path / "best")
    description.write_text(text)
    (tmp_path / "best" / "model.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(StageError, match="cannot be read as a checkpoint"):
        Checkpoint.load(tmp_path / "best")


def test_scores_by_hand(tmp_path: Path) -> None:
    checkpoint().save(tmp_path / "best")
    scorer = Scorer(tmp_path / "best")
    price = np.array([1.5, 1.5, -1.0]).view(np.int64)
    ids = np.stack([price, np.array([20, 99, 10])], axis=1)
    # price 1.5, brand 20: linear 0.75 - 1, pair 3 * 3, network 3 - 3 + 0.25: 9
    # price 1.5, unseen:   linear 0.75,     pair 0,     network 3 + 0.25:     4
    # price -1, brand 10:  linear -0.5 + 1, pair -2,    network -2 - 1 + 0.25: -4.25
    expected = 1 / (1 + np.exp(-np.array([9.0, 4.0, -4.25])))
    scores = scorer.scores(ids)
    assert scores.dtype == np.float32 and scores.shape == (3, 1)
    np.testing.assert_allclose(scores[:, 0], expected, rtol=1e-6)
    assert scorer.scores(ids[:0]).shape == (0, 1)


def test_scores_want_a_column_a_field(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ids have shape \(2, 3\), the model needs \[rows, 2\]"):
        Scorer(checkpoint()).scores(np.zeros((2, 3), np.int64))


def test_scoring_needs_no_framework() -> None:
    """The names of weights are those that the NumPy model asks for."""
    model = build(numpy_nn, checkpoint().model)
    model.load_state_dict(checkpoint().weights)
    assert model(np.zeros((1, 2, 1), np.float32), np.zeros((1, 2), np.float32)).tolist() == [[0.25]]

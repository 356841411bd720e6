"""What a model is asked and answers, field by field, beside what it was trained on: the counts behind /metrics.

Per field: rows with NULL, and rows with an id that training never saw. Per model: how its scores are distributed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jdrec.features.spec import Encoding
from jdrec.serving.statistics import SCORE_BOUNDS, STATISTICS, read_statistics, unseen

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from jdrec.preprocess.encoder import Encoder
    from jdrec.serving.computed import Computed

_ENOUGH_ROWS = 128  # so many rows are counted together: searching ids one row at a time costs ten times more


@dataclass
class Drift:
    """Counts of one model. Used from one thread.

    Args:
        names: of its fields.
        places: of its fields among the feature set's features.
        known: ids of each field that training saw, ascending; None where the model's folder does not tell them.
        training: training's own figures, `statistics.json`; empty where there are none.
    """

    names: tuple[str, ...]
    places: tuple[int, ...]
    known: tuple[np.ndarray | None, ...]
    training: dict[str, Any]
    rows: int = 0
    score_sum: float = 0.0
    _ids: list[np.ndarray] = field(default_factory=list)
    _scores: list[np.ndarray] = field(default_factory=list)
    _waiting: int = 0

    def __post_init__(self) -> None:
        self.nulls = np.zeros(len(self.names), np.int64)
        self.unseen = np.zeros(len(self.names), np.int64)
        self.scores = np.zeros(len(SCORE_BOUNDS) + 1, np.int64)

    @classmethod
    def of(cls, version: Path, encoder: Encoder, features: list[str]) -> Drift:
        """For an exported version.

        Args:
            version: its folder. encoder: its encoder. features: names of the feature set's features, in order.
        """
        names = tuple(item.name for item in encoder.fields)
        known: tuple[np.ndarray | None, ...] = _known_ids(version / "model", len(names))
        known = tuple(None if item.encoding is Encoding.NUMERIC else ids for item, ids in zip(encoder.fields, known, strict=True))
        return cls(names, tuple(features.index(item.feature) for item in encoder.fields), known, read_statistics(version / STATISTICS))

    def add(self, features: Computed, ids: np.ndarray, scores: np.ndarray) -> None:
        """Counts scored rows.

        Args:
            ids: int64 [rows, fields]. scores: float32 [rows].
        """
        nulls = features.nulls()
        for place, where in enumerate(self.places):
            if nulls[where]:
                self.nulls[place] += nulls[where]
        self._ids.append(ids)
        self._scores.append(scores)
        self._waiting += len(ids)
        if self._waiting >= _ENOUGH_ROWS:
            self.count()

    def count(self) -> None:
        """Brings the counts up to date."""
        if not self._waiting:
            return
        ids, scores = np.concatenate(self._ids), np.concatenate(self._scores)
        self._ids, self._scores, self._waiting = [], [], 0
        for place, known in enumerate(self.known):
            if known is not None:
                self.unseen[place] += unseen(known, ids[:, place])
        self.scores += np.bincount(np.searchsorted(SCORE_BOUNDS, scores, side="left"), minlength=len(self.scores))
        self.rows += len(ids)
        self.score_sum += float(scores.sum(dtype=np.float64))


def _known_ids(checkpoint: Path, fields: int) -> tuple[np.ndarray | None, ...]:
    """Ids of each field in the checkpoint; the weights are not read."""
    from safetensors import SafetensorError, safe_open

    from jdrec.training.checkpoint import DESCRIPTION, KNOWN_IDS, WEIGHTS

    try:
        description = json.loads((checkpoint / DESCRIPTION).read_bytes())
        items = description["model"]["fields"]
        counts = [item["rows"] - 1 for item in items]
        with safe_open(checkpoint / WEIGHTS, "numpy") as file:
            flat = file.get_tensor(KNOWN_IDS)
    except (OSError, ValueError, KeyError, SafetensorError):  # another backend's model
        return (None,) * fields
    by_field = np.split(flat, np.cumsum(counts)[:-1])
    return tuple(known for known, item in zip(by_field, items, strict=True) for _ in range(item.get("slots", 1)))


def metrics_of(drifts: Iterator[tuple[str, int, Drift]]) -> Iterator[Metric]:
    """Metric families of (model, version, counts)."""
    from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    model = ["model", "version"]
    rows = CounterMetricFamily("jdrec_scored_rows", "Rows that a model has scored.", labels=model)
    nulls = CounterMetricFamily("jdrec_field_null_rows", "Scored rows in which a field is NULL.", labels=[*model, "field"])
    unseen = CounterMetricFamily(
        "jdrec_field_unseen_rows", "Scored rows in which a field has an id unseen in training.", labels=[*model, "field"]
    )
    scores = HistogramMetricFamily("jdrec_scores", "Scores.", labels=model)
    then = {
        "null_ratio": GaugeMetricFamily("jdrec_training_null_ratio", "Share of training rows with NULL.", labels=[*model, "field"]),
        "unseen_ratio": GaugeMetricFamily(
            "jdrec_training_unseen_ratio", "Share of validation rows with an id unseen in training.", labels=[*model, "field"]
        ),
    }
    ratio = GaugeMetricFamily("jdrec_training_score_ratio", "Share of validation rows with scores up to le.", labels=[*model, "le"])
    for name, version, drift in drifts:
        drift.count()
        labels = [name, str(version)]
        rows.add_metric(labels, drift.rows)
        for place, field_name in enumerate(drift.names):
            nulls.add_metric([*labels, field_name], int(drift.nulls[place]))
            if drift.known[place] is not None:
                unseen.add_metric([*labels, field_name], int(drift.unseen[place]))
            for key, family in then.items():
                value = drift.training.get("fields", {}).get(field_name, {}).get(key)
                if value is not None:
                    family.add_metric([*labels, field_name], value)
        cumulative = np.cumsum(drift.scores).tolist()
        scores.add_metric(labels, list(zip([*map(str, SCORE_BOUNDS), "+Inf"], cumulative, strict=True)), drift.score_sum)
        trained = drift.training.get("scores")
        if trained:
            shares = np.cumsum(trained["counts"]) / max(1, sum(trained["counts"]))
            for bound, share in zip([*map(str, trained["bounds"]), "+Inf"], shares.tolist(), strict=True):
                ratio.add_metric([*labels, bound], share)
    yield from (rows, nulls, unseen, scores, *then.values(), ratio)

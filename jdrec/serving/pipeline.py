"""From checked rows to scores, a batch at a time: features, ids, Triton, and what is kept of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jdrec.errors import JdrecError
from jdrec.serving.batching import Batcher
from jdrec.serving.failures import Unavailable

if TYPE_CHECKING:
    from jdrec.config import ServingConfig
    from jdrec.serving.computed import Computed
    from jdrec.serving.features import FeatureSource
    from jdrec.serving.metrics import Metrics
    from jdrec.serving.models import ServedModel
    from jdrec.serving.rows import Row

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scored:
    """What became of some rows of a call.

    Attributes:
        scores: float32 [rows]. ids: int64 [rows, fields].
        stored: whether the rows were inserted into the request table; None: that is not asked for.
        seconds: of each stage of the batch. batch_rows: rows of the whole batch.
    """

    features: Computed
    ids: np.ndarray
    scores: np.ndarray
    stored: bool | None
    seconds: dict[str, float]
    batch_rows: int


class Pipeline:
    """Scores rows with any served model; each model has a batcher of its own."""

    def __init__(self, source: FeatureSource, serving: ServingConfig, metrics: Metrics):
        self._source, self._serving, self._metrics = source, serving, metrics

    def prepare(self, model: ServedModel) -> None:
        """Gives a model its batcher."""

        async def process(parts: list[Sequence[Row]]) -> list[Scored]:
            return await self._score(model, parts)

        model.batcher = Batcher(process, self._serving.batching, self._metrics.stages["queue"])

    async def score(self, model: ServedModel, rows: Sequence[Row]) -> list[Scored]:
        """Scores a call's rows; the parts of what comes back are in order.

        Raises:
            Overloaded, Unavailable: try again later. DataError: a row cannot be computed.
        """
        assert model.batcher is not None
        return await model.batcher.submit(rows)

    async def _score(self, model: ServedModel, parts: list[Sequence[Row]]) -> list[Scored]:
        rows = list(parts[0]) if len(parts) == 1 else [row for part in parts for row in part]
        begin = time.perf_counter()
        features = await self._source.features(rows)
        computed = time.perf_counter()
        ids = features.ids(model.encoder, model.row_encoder)
        encoded = time.perf_counter()
        scores = await model.triton.scores(ids)
        inferred = time.perf_counter()
        stored = await self._store(rows) if self._serving.store_requests else None
        seconds = {"features": computed - begin, "encode": encoded - computed, "infer": inferred - encoded}
        stages = self._metrics.stages
        for stage, duration in seconds.items():
            stages[stage](duration)
        self._metrics.batch_rows.observe(len(rows))
        model.drift.add(features, ids, scores)
        if len(parts) == 1:
            return [Scored(features, ids, scores, stored, seconds, len(rows))]
        result, start = [], 0
        for part in parts:
            end = start + len(part)
            result.append(Scored(features.part(start, end), ids[start:end], scores[start:end], stored, seconds, len(rows)))
            start = end
        return result

    async def _store(self, rows: list[Row]) -> bool:
        try:
            await self._source.store(rows)
            return True
        except (Unavailable, JdrecError) as error:  # the scores stand; what is lost is the history
            log.warning("requests were scored but not stored: %s", error)
            self._metrics.errors.labels("not_stored").inc()
            return False


def joined(parts: Sequence[Scored]) -> tuple[list[float], bool | None]:
    """Scores of a whole call as numbers, and whether its rows were stored."""
    scores = [score for part in parts for score in part.scores.tolist()]
    stored = None if parts[0].stored is None else all(part.stored for part in parts)
    return scores, stored


def values(parts: Sequence[Scored]) -> list[tuple[Any, ...]]:
    """Feature values of a whole call, as JSON takes them."""
    return [row for part in parts for row in part.features.json_values()]

"""The offline side: every request's features, ids and score as training had them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jdrec.errors import DataError, JdrecError, StageError
from jdrec.features.spec import FeatureSet

if TYPE_CHECKING:
    import pyarrow as pa

    from jdrec.preprocess.encoder import Encoder
    from jdrec.stages import Run
    from jdrec.training.scoring import Scorer

_ENCODED = 1 << 17  # rows encoded at a time
_SCORED = 1000  # rows scored at a time


class Offline:
    """Rows of features with their ids.

    Args:
        features: the feature set's columns. ids: int64 [rows, fields].

    Attributes:
        samples: where the ids are from, for the report.
    """

    def __init__(self, feature_set: FeatureSet, features: pa.Table, ids: np.ndarray, encoder: Encoder, scorer: Scorer, samples: str = ""):
        self.features, self.ids, self.encoder, self.scorer, self.samples = features, ids, encoder, scorer, samples
        self.keys = features[feature_set.features[0].name].combine_chunks()

    @classmethod
    def of_run(cls, run: Run) -> Offline:
        """From features.parquet and the samples.

        Raises:
            StageError: a file is missing or does not fit.
        """
        import pyarrow.parquet as pq

        file = run.folder / "features.parquet"
        if not file.is_file():
            raise StageError(f"{file} is missing.", hint="Run task=extract, or compare with another run.")
        features = pq.read_table(file)
        names = [feature.name for feature in run.feature_set.features]
        if features.schema.names != names:
            raise StageError(f"{file} was made for other features than the run's.", hint="Run task=extract again.")
        encoder, scorer = model_of(run)
        ids = encoded(encoder, features)
        return cls(run.feature_set, features, ids, encoder, scorer, _take_samples(run, file, encoder, ids))

    @classmethod
    def of_features(cls, run: Run, features: pa.Table) -> Offline:
        """From features that the batch engine computed now."""
        encoder, scorer = model_of(run)
        return cls(run.feature_set, features, encoded(encoder, features), encoder, scorer)

    def scores(self, rows: np.ndarray) -> np.ndarray:
        """float64 [rows]: the trainer's scores."""
        return scores(self.scorer, self.ids[rows])

    def places(self, keys: Any) -> tuple[np.ndarray, int]:
        """Where the rows with these keys are; rows of one key in their order.

        Args:
            keys: Arrow array of request keys.

        Returns:
            int64 [keys], -1 where there is none; how many rows have a key that was not asked for.
        """
        if self.keys.type != keys.type:
            raise DataError(f"the requests' key is {keys.type}, and in features.parquet it is {self.keys.type}.")
        if self.keys.equals(keys):
            return np.arange(len(keys)), 0
        waiting: dict[Any, list[int]] = {}
        for row in range(len(self.keys) - 1, -1, -1):
            waiting.setdefault(self.keys[row].as_py(), []).append(row)
        found = [rows.pop() if (rows := waiting.get(key)) else -1 for key in keys.to_pylist()]
        return np.array(found, np.int64), sum(map(len, waiting.values()))


def model_of(run: Run) -> tuple[Encoder, Scorer]:
    """The run's encoder and model."""
    from jdrec.preprocess.encoder import Encoder
    from jdrec.training.scoring import Scorer

    return Encoder.load(run.samples / "encoder.json"), Scorer(run.checkpoint)


def encoded(encoder: Encoder, features: pa.Table) -> np.ndarray:
    """int64 [rows, fields]."""
    parts = [encoder.encode(features.slice(start, _ENCODED)) for start in range(0, features.num_rows, _ENCODED)]
    return np.concatenate(parts) if parts else np.zeros((0, len(encoder.fields)), np.int64)


def scores(scorer: Scorer, ids: np.ndarray) -> np.ndarray:
    """float64 [rows]."""
    parts = [scorer.scores(ids[start : start + _SCORED])[:, 0] for start in range(0, len(ids), _SCORED)]
    return np.concatenate([*parts, np.zeros(0, np.float32)]).astype(np.float64)


def _take_samples(run: Run, features: Path, encoder: Encoder, ids: np.ndarray) -> str:
    """Puts the ids that the model was trained and evaluated with in the place of encoded ones; says how many."""
    import pyarrow.parquet as pq

    from jdrec.dataset.observed import observed_until
    from jdrec.preprocess.splits import SPLITS
    from jdrec.preprocess.stage import splits_of

    try:
        until = observed_until(run.feature_set, run.tables)
        split = splits_of(run.feature_set, run.config.preprocess, features, seed=run.config.seed, observed_until_ms=until)
        tables = [pq.read_table(run.samples / f"{name}.parquet") for name in SPLITS]
    except (JdrecError, OSError) as error:
        return f"samples: left out, {error}"
    sizes = np.bincount(split, minlength=len(SPLITS))[: len(SPLITS)].tolist()
    if (found := [table.num_rows for table in tables]) != sizes:
        return f"samples: left out, they have {found} rows and features.parquet gives {sizes}: the tables have changed since"
    for code, table in enumerate(tables):
        ids[split == code] = encoder.read_samples(table)
    outside = len(split) - sum(sizes)
    return f"samples: {sum(sizes):,} rows of {', '.join(SPLITS)}" + (f"; {outside:,} requests are in none" if outside else "")

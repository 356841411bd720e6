"""statistics.json in a model's folder: what its fields and scores looked like in training, for comparison with what is served."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jdrec.features.spec import NO_VALUE, Encoding

if TYPE_CHECKING:
    from jdrec.preprocess.encoder import Encoder

STATISTICS = "statistics.json"
SCORE_BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
_ROWS = 20_000  # of the validation split that are scored
_CHUNK = 1000


def statistics(samples: Path, checkpoint: Path) -> dict[str, Any]:
    """Figures of a trained model.

    Args:
        samples: folder with data_info.json, encoder.json and the splits. checkpoint: folder of the model.

    Returns:
        {"fields": {name: {"null_ratio" over the training split, "unseen_ratio" over the validation split}}, "scores": {"rows", "mean",
        "bounds", "counts" (one more than bounds; counts[i] are scores in (bounds[i - 1], bounds[i]])} over the validation split}.
    """
    from jdrec.preprocess.encoder import Encoder

    info = json.loads((samples / "data_info.json").read_text(encoding="utf-8"))
    rows = info.get("splits", {}).get("train", {}).get("rows") or 0
    fields = {item["name"]: {"null_ratio": item["nulls"]["train"] / rows} for item in info.get("fields", ()) if rows}
    result: dict[str, Any] = {"format": 1, "fields": fields}
    if (samples / "valid.parquet").is_file():
        result |= _of_validation(samples / "valid.parquet", Encoder.load(samples / "encoder.json"), checkpoint, fields)
    return result


def _of_validation(file: Path, encoder: Encoder, checkpoint: Path, fields: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Adds to `fields`, and returns what concerns the scores."""
    import pyarrow.parquet as pq

    from jdrec.training.scoring import Scorer

    scorer, rows = Scorer(checkpoint), 0
    columns = [known for known, slots in zip(scorer.vocabulary.ids, scorer.vocabulary.slots, strict=True) for _ in range(slots)]
    missing = np.zeros(len(encoder.fields), np.int64)
    counts, total = np.zeros(len(SCORE_BOUNDS) + 1, np.int64), 0.0
    for batch in pq.ParquetFile(file).iter_batches(_CHUNK):
        ids = encoder.read_samples(batch)
        missing += [unseen(known, ids[:, i]) for i, known in enumerate(columns)]
        scores = scorer.scores(ids)[:, 0]
        counts += np.bincount(np.searchsorted(SCORE_BOUNDS, scores, side="left"), minlength=len(counts))
        total, rows = total + float(scores.sum(dtype=np.float64)), rows + len(ids)
        if rows >= _ROWS:
            break
    if not rows:
        return {}
    for item, count in zip(encoder.fields, missing.tolist(), strict=True):
        if item.encoding is not Encoding.NUMERIC:
            fields.setdefault(item.name, {})["unseen_ratio"] = count / rows
    return {"scores": {"rows": rows, "mean": total / rows, "bounds": SCORE_BOUNDS, "counts": counts.tolist()}}


def unseen(known: np.ndarray, ids: np.ndarray) -> int:
    """How many of the ids are not among the known ones, which ascend."""
    if not len(known):
        return len(ids)
    found = known[np.minimum(np.searchsorted(known, ids), len(known) - 1)] == ids
    return int(np.count_nonzero(~found & (ids != NO_VALUE)))


def read_statistics(file: Path) -> dict[str, Any]:
    """The figures; empty where a model was exported without them."""
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}

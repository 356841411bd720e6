"""task=importance: how much a metric suffers when one field's values are permuted among the samples.

Breiman, "Random Forests", Machine Learning 45 (2001), for a trained model on samples that it has not seen.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from jdrec.config import ImportanceConfig
from jdrec.files import write_text
from jdrec.progress import Progress
from jdrec.report import skipped, student

if TYPE_CHECKING:
    from jdrec.stages import Run
    from jdrec.training.data import Batch
    from jdrec.training.scoring import Scorer

log = logging.getLogger(__name__)

FILE = "importance.json"
_SCORING_ROWS = 4096
_SHOWN = 15


def run_importance(run: Run) -> None:
    """Writes importance.json into the run's folder, prints the first fields, and renews report.html where there is one."""
    result = measure(run)
    write_text(run.folder / FILE, json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    _print(result)
    if (run.folder / "report.json").is_file() and not skipped(run.config):
        from jdrec.report.page import write_page

        log.info("%-10s %s", "report", write_page(run))


def measure(run: Run) -> dict[str, Any]:
    """Importance of every field.

    Returns:
        split, metric, rows, repeats, confidence, seed, baseline (the metric of the samples as they are), features: name, mean, low, high.
    """
    from jdrec.training.data import RawSplit, Split, read_layout
    from jdrec.training.scoring import Scorer

    config, seed = run.config.importance, run.config.seed
    scorer = Scorer(run.checkpoint)
    raw = RawSplit.read(run.samples, config.split, read_layout(run.samples))
    if len(raw.labels) > config.rows:
        raw = raw.take(np.sort(np.random.default_rng(seed).choice(len(raw.labels), config.rows, replace=False)))
    batch = Split(raw, scorer.vocabulary).batch(slice(None))
    about: dict[str, Any] = {"split": config.split, "metric": config.metric, "rows": len(batch.labels), "repeats": config.repeats}
    about |= {"confidence": config.confidence, "seed": seed}
    return about | permute(scorer, batch, config, seed, run.progress)


def permute(scorer: Scorer, batch: Batch, config: ImportanceConfig, seed: int, progress: Progress) -> dict[str, Any]:
    """baseline, and features: name, mean, low, high, the fields in the model's order."""
    fields = [field.name for field in scorer.spec.fields]
    of_column = np.asarray(scorer.spec.field_of_column)
    baseline = _metric(scorer, batch, config.metric)
    worse = -1.0 if config.metric == "auc" else 1.0
    features = []
    with progress.task("importance", len(fields) * config.repeats) as task:
        for number, name in enumerate(fields):
            columns = np.flatnonzero(of_column == number)
            found = np.empty(config.repeats)
            for repeat in range(config.repeats):
                order = np.random.default_rng((seed, number, repeat)).permutation(len(batch.labels))
                found[repeat] = worse * (_metric(scorer, _permuted(batch, columns, order), config.metric) - baseline)
                task.advance()
            low, high = student.interval(found, config.confidence)
            features.append({"name": name, "mean": float(found.mean()), "low": low, "high": high})
    return {"baseline": baseline, "features": features}


def _permuted(batch: Batch, columns: np.ndarray, order: np.ndarray) -> Batch:
    from dataclasses import replace

    rows = batch.rows.copy()
    rows[:, columns] = batch.rows[order][:, columns]
    scale = batch.scale
    if scale is not None:
        scale = scale.copy()
        scale[:, columns] = batch.scale[order][:, columns]  # type: ignore[index]
    return replace(batch, rows=rows, scale=scale)


def _metric(scorer: Scorer, batch: Batch, name: str) -> float:
    from jdrec.training.metrics import Scored

    parts = []
    for start in range(0, len(batch.labels), _SCORING_ROWS):
        part = slice(start, start + _SCORING_ROWS)
        parts.append(scorer.logits(batch.rows[part], None if batch.scale is None else batch.scale[part])[:, 0])
    scored = Scored(batch.labels, np.concatenate(parts))
    return getattr(scored, name)(np.ones(len(batch.labels)))


def _print(result: dict[str, Any]) -> None:
    from rich.table import Table

    from jdrec.tracking.console import console

    rows = sorted(result["features"], key=lambda row: -row["mean"])
    what = "loss of AUC" if result["metric"] == "auc" else "rise of logloss"
    table = Table(title=f"{what} when permuted, {result['rows']:,} {result['split']} samples, {result['repeats']} permutations")
    for title in ("field", "mean", f"{100 * result['confidence']:g} % interval"):
        table.add_column(title, justify="left" if title == "field" else "right")
    for row in rows[:_SHOWN]:
        table.add_row(row["name"], f"{row['mean']:.5f}", f"{row['low']:.5f} to {row['high']:.5f}")
    if len(rows) > _SHOWN:
        table.add_row(f"and {len(rows) - _SHOWN} more in {FILE}", "", "")
    console().print(table)

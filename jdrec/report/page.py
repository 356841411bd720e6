"""report.html of a run: its files, read back and put into the template."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jdrec.config import Config, names
from jdrec.errors import StageError
from jdrec.report import filters, latency
from jdrec.report.charts import Chart, data, evaluation, parts, serving
from jdrec.report.charts import importance as permutation
from jdrec.report.charts import training as learning
from jdrec.report.html import write

if TYPE_CHECKING:
    from jdrec.stages import Run

PAGE = "report.html"
_SQL = ("select_features.sql", "create_tables.sql", "load_offline_data.sql", "load_online_data.sql", "deploy.sql")


def write_page(run: Run) -> str:
    """Writes report.html into the run's folder and returns a summary."""
    size = write(run.folder / PAGE, "run.html.j2", contents(run.folder, run.config), Path(run.config.cache.dir))
    return f"{run.folder / PAGE}, {size / 2**20:.1f} MiB"


def contents(folder: Path, config: Config) -> dict[str, Any]:
    """What the template shows.

    Raises:
        StageError: the folder lacks a file that every finished run has.
    """
    record, metrics, statistics = (_json(folder / name) for name in ("run.json", "metrics.json", "report.json"))
    if record is None or metrics is None or statistics is None:
        raise StageError(f"{folder} is not a finished run: run.json, metrics.json or report.json is missing.", where="run")
    training = _json(folder / "checkpoints" / "training.json")
    importance = _json(folder / "importance.json")
    info = _json(folder / "samples" / "data_info.json") or {}
    served = latency.measured(folder, config.serving.access_log)
    splits = {name: about for name, about in metrics.items() if isinstance(about, Mapping)}
    return {
        "title": _title(record),
        "folder": folder.name,
        "record": record,
        "overrides": [item for item in record["overrides"] if not item.startswith(("hydra.", "task=", "cache.", "report."))],
        "facts": _facts(record, splits, metrics.get("best_possible_auc"), training),
        "flow": _flow(record["stages"]),
        "metrics": _metrics_table(splits),
        "tables": statistics["tables"],
        "splits": info.get("splits", {}),
        "left_out": info.get("left_out", {}),
        "warnings": info.get("warnings", []),
        "statistics": statistics,
        "features": _features(statistics["features"], importance),
        "has_importance": importance is not None,
        "top": statistics["curves"].get("test", {}).get("top", []),
        "charts": _charts(statistics, splits, training, importance, served),
        "training": training,
        "verify": _json(folder / "verify.json"),
        "latency": served,
        "figures": _figures(folder, config),
        "sql": [(name, (folder / "sql" / name).read_text(encoding="utf-8")) for name in _SQL if (folder / "sql" / name).is_file()],
        "config_yaml": _yaml(record["config"]),
        "environment": record.get("environment") or {},
    }


def _json(file: Path) -> Any:
    """None where it is not there."""
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def _yaml(values: Any) -> str:
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create(values))


def _title(record: Mapping[str, Any]) -> str:
    experiment = next((item.partition("=")[2] for item in record["overrides"] if item.lstrip("+").startswith("experiment=")), None)
    return experiment or record["config"]["dataset"]["database"]


def _facts(record: Mapping[str, Any], splits: Mapping[str, Any], best: float | None, training: Any) -> list[dict[str, str]]:
    """The numbers above all others: label, value, and a line about it."""
    test, valid = splits["test"], splits["valid"]
    limit = f" · best possible {best:.4f}" if best else ""
    facts = [
        {"label": "Test AUC", "value": filters.number(test["auc"]), "about": _range(test, valid, "auc") + limit},
        {"label": "Test logloss", "value": filters.number(test["logloss"]), "about": _range(test, valid, "logloss")},
    ]
    if test.get("positives") is not None and test.get("rows"):
        rate = 100 * test["positives"] / test["rows"]
        facts.append({"label": "Test samples", "value": f"{test['rows']:,}", "about": f"{test['positives']:,} positive, {rate:.2f} %"})
    if training:
        size = f"{training['parameters']:,}"
        facts.append({"label": "Parameters", "value": size, "about": f"{record['config']['model']['name']} on {training['device']}"})
    facts.append({"label": "Time of this run", "value": filters.duration(record["seconds"]), "about": _reuse(record["stages"])})
    return facts


def _range(test: Mapping[str, Any], valid: Mapping[str, Any], name: str) -> str:
    """The interval on the test split; the validation split's value where there is none."""
    interval = (test.get("interval") or {}).get(name)
    return f"{interval[0]:.4f} to {interval[1]:.4f}" if interval and None not in interval else f"valid {filters.number(valid[name])}"


def _reuse(stages: list[Mapping[str, Any]]) -> str:
    reused = sum(stage["reused"] for stage in stages)
    return f"{reused} of {len(stages)} stages reused" if reused else f"{len(stages)} stages, none reused"


def _flow(stages: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each stage with where its bar begins and how long it is, in percent of the whole."""
    whole = sum(stage["seconds"] for stage in stages) or 1.0
    flow, start = [], 0.0
    for stage in stages:
        share = 100 * stage["seconds"] / whole
        flow.append({**stage, "start": min(start, 99.5), "share": max(share, 0.5)})
        start += share
    return flow


def _metrics_table(splits: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics by split; rows in the order of metrics.json: name, and for each split its value and interval."""
    skipped = ("interval", "by", "slices", "rows", "positives", "base_rate")
    wanted = list(dict.fromkeys(name for about in splits.values() for name in about if name not in skipped))
    rows = []
    for name in wanted:
        cells = []
        for about in splits.values():
            interval = (about.get("interval") or {}).get(name)
            cells.append({"value": about.get(name), "interval": interval if interval and None not in interval else None})
        rows.append({"name": name, "cells": cells})
    return {"splits": list(splits), "rows": rows}


def _features(found: list[dict[str, Any]], importance: Any) -> list[dict[str, Any]]:
    by_name = {row["name"]: row for row in importance["features"]} if importance else {}
    largest = max((row["mean"] for row in by_name.values()), default=0.0)
    result = []
    for about in found:
        row = by_name.get(about["name"])
        peak = max((max(b["train"], b["test"]) for b in about["bins"]), default=0) or 1
        bars = [
            {"name": b["name"], "train": b["train"], "test": b["test"], "a": b["train"] / peak, "b": b["test"] / peak}
            for b in about["bins"]
        ]
        share = max(row["mean"], 0) / largest if row and largest > 0 else 0
        drift = _drift(about["psi"]) if about["kind"] in ("numeric", "categorical") and about["psi"] else None
        result.append({**about, "importance": row, "importance_share": share, "bars": bars, "drift": drift})
    return result


def _drift(psi: Mapping[str, float]) -> str:
    largest = max(psi.values(), default=0.0)
    return "shifted" if largest > 0.25 else "drifting" if largest > 0.1 else "stable"


def _charts(statistics: Mapping[str, Any], splits: Mapping[str, Any], training: Any, importance: Any, served: Any) -> dict[str, Chart]:
    """By id; those without data are not there."""
    made: list[Chart] = []
    if statistics["timeline"]:
        made.append(data.label_rate(statistics["timeline"]))
    if training and training["history"]:
        made += [learning.losses(training["history"]), learning.validation_auc(training["history"])]
    both = {name: about for name, about in statistics["curves"].items() if splits.get(name, {}).get("auc") is not None}
    if both:
        rates = {name: splits[name]["positives"] / splits[name]["rows"] for name in both}
        made += [
            evaluation.roc(both, {name: splits[name]["auc"] for name in both}),
            evaluation.precision_recall(both, rates),
            evaluation.calibration(both),
            evaluation.scores(list(both.values())[-1]["histogram"], list(both)[-1], statistics["label"]),
        ]
    if len([point for point in statistics.get("by_time", []) if point["auc"] is not None]) > 1:
        made.append(parts.auc_by_time(statistics["by_time"]))
    if statistics.get("by_group"):
        made += parts.auc_by_group(statistics["by_group"])
    if importance:
        made.append(permutation.importance(importance))
    if served:
        made.append(serving.latency(served))
    return {chart.id: chart for chart in made}


def _figures(folder: Path, config: Config) -> list[dict[str, Any]]:
    """Files of bench scripts: those in bench/ of the run folder, and those that the configuration names.

    Raises:
        StageError: one cannot be read.
    """
    found = []
    for name in [*map(str, sorted((folder / "bench").glob("*.json"))), *names(config.report.figures)]:
        try:
            found.append(json.loads(Path(name).read_text(encoding="utf-8")))
            found[-1]["figures"], found[-1]["bench"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StageError(f"{name} is not a file that a bench script wrote with --json: {error}.", where="report.figures") from None
    return found

"""The stages from a definition to a Triton repository: what each needs, what it leaves, and when it may be reused.

Every stage reads what earlier stages left in the run folder, and its result is kept in the cache under a key of all that
went into it. `run` goes as far as `config.task` says.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from jdrec.cache import Cache, code_version, content_key, publish
from jdrec.config import STAGES, VERBS, Config
from jdrec.errors import StageError
from jdrec.progress import Progress

if TYPE_CHECKING:
    from jdrec.dataset.tables import TableSet
    from jdrec.features.spec import FeatureSet

log = logging.getLogger(__name__)


@dataclass
class Run:
    """One run: the configuration, its folder, and what is made once and used by several stages."""

    config: Config
    folder: Path
    progress: Progress = field(default_factory=Progress)
    keys: dict[str, str] = field(default_factory=dict)  # stage -> key of its result
    record: list[dict[str, Any]] = field(default_factory=list)

    @cached_property
    def feature_set(self) -> FeatureSet:
        from jdrec.features.resolve import resolve

        return resolve(self.config)

    @cached_property
    def tables(self) -> TableSet:
        from jdrec.dataset.tables import open_tables

        self.generate_tables()
        return open_tables(self.feature_set, Path(self.config.dataset.root), self.config.dataset.timezone)

    def generate_tables(self) -> None:
        if self.config.dataset.generate is None:
            return
        from jdrec.dataset.jd_generated import generate

        generate(self.config.dataset.generate, Path(self.config.dataset.root), self.progress)

    @property
    def samples(self) -> Path:
        return self.folder / "samples"

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoints" / "best"


@dataclass(frozen=True)
class Stage:
    """A cached step.

    Attributes:
        rooms: the source folders whose change makes old results void.
        inputs: plain containers of the configuration and data that matter to it.
        make: fills an empty folder and returns a one-line summary.
    """

    name: str
    after: str | None
    rooms: tuple[str, ...]
    inputs: Callable[[Run], Any]
    make: Callable[[Run, Path], str]


# --- what goes into each stage, and what it does -------------------------------------------------------------------------


def _query(config: Config) -> dict[str, Any]:
    """The part of the definition that decides the values of features; kinds, encodings and the label come later."""
    features = msgspec.to_builtins(config.features)
    del features["label"]
    for feature in features["features"].values():
        feature.pop("kind"), feature.pop("encoding")
    tables = {name: {"time": table.time, "columns": table.columns} for name, table in config.dataset.tables.items()}
    return {"features": features, "order": list(features["features"]), "tables": tables, "timezone": config.dataset.timezone}


def _extract_inputs(run: Run) -> Any:
    return {"query": _query(run.config), "data": run.tables.fingerprint(), "engine": run.config.engine.name}


def _extract(run: Run, out: Path) -> str:
    from jdrec.engines import extract

    report = extract(run.feature_set, run.tables, out / "features.parquet", threads=run.config.engine.threads, progress=run.progress)
    return f"{report.rows:,} rows x {report.columns} columns, peak memory {report.peak_memory_bytes / 2**20:,.0f} MiB"


def _preprocess_inputs(run: Run) -> Any:
    fields = [(f.name, f.kind, f.encoding) for f in run.feature_set.features]
    label = msgspec.to_builtins(run.config.features.label) if run.config.features.label else None
    return {"preprocess": run.config.preprocess, "fields": fields, "label": label, "seed": run.config.seed}


def _preprocess(run: Run, out: Path) -> str:
    from jdrec import preprocess
    from jdrec.dataset.observed import observed_until

    report = preprocess.run(
        run.feature_set,
        run.config.preprocess,
        run.folder / "features.parquet",
        out / "samples",
        seed=run.config.seed,
        observed_until_ms=observed_until(run.feature_set, run.tables),
        progress=run.progress,
    )
    return report.summary()


def _train_inputs(run: Run) -> Any:
    return {"model": run.config.model, "trainer": run.config.trainer, "seed": run.config.seed}


def _train(run: Run, out: Path) -> str:
    from jdrec import training

    report = training.train(
        run.config.model, run.config.trainer, run.samples, out / "checkpoints", seed=run.config.seed, progress=run.progress
    )
    if report.interrupted:  # what was learnt so far is kept with the run, but is not this stage's result
        publish(out, run.folder)
        log.warning("interrupted: the checkpoint so far is in %s", run.folder / "checkpoints")
        raise KeyboardInterrupt
    return report.summary()


def _evaluate(run: Run, out: Path) -> str:
    from jdrec import training
    from jdrec.dataset.observed import best_possible_auc

    metrics: dict[str, Any] = {split: training.evaluate(run.checkpoint, run.samples, split) for split in ("train", "valid", "test")}
    best = best_possible_auc(run.config.dataset)
    if best is not None:
        metrics["best_possible_auc"] = best
    (out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    limit = f" (best possible {best:.4f})" if best is not None else ""
    return (
        ", ".join(f"{split} AUC {metrics[split]['auc']:.4f} logloss {metrics[split]['logloss']:.4f}" for split in ("valid", "test")) + limit
    )


def _export_inputs(run: Run) -> Any:
    return {"triton": run.config.serving.triton, "query": _query(run.config)}


def _export(run: Run, out: Path) -> str:
    from jdrec.serving.repository import export

    model = export(run.feature_set, run.config, checkpoint=run.checkpoint, samples=run.samples, out=out / "triton")
    return f"Triton model {model.relative_to(out)}"


_DATA = ("features", "dataset", "engines")
_CACHED = {
    stage.name: stage
    for stage in (
        Stage("extract", None, _DATA, _extract_inputs, _extract),
        Stage("preprocess", "extract", ("preprocess",), _preprocess_inputs, _preprocess),
        Stage("train", "preprocess", ("models", "training"), _train_inputs, _train),
        Stage("evaluate", "train", ("training",), lambda run: {}, _evaluate),
        Stage("export", "evaluate", ("serving", "models", "training"), _export_inputs, _export),
    )
}


# --- running them ----------------------------------------------------------------------------------------------------------


def run(config: Config, folder: Path, overrides: list[str] | None = None) -> float | None:
    """Runs the task.

    Args:
        config: the checked configuration.
        folder: where results go; `config.run`, if given, is used instead and its training is kept as it is.
        overrides: what the command line changed, for the record.

    Returns:
        The validation AUC, if the task got that far, so that any sweeper can maximise it.
    """
    if config.task == "predict":
        from jdrec.serving.client import predict

        predict(config)
        return None
    this = Run(config, Path(config.run) if config.run else folder)
    if config.run:
        _require_earlier(this)
    first = "evaluate" if config.run else STAGES[0]
    last = "export" if config.task in VERBS else config.task
    this.folder.mkdir(parents=True, exist_ok=True)
    for name in STAGES[STAGES.index(first) : STAGES.index(last) + 1]:
        _run_stage(this, name)
    _write_record(this, overrides or [])
    log.info("%-10s %s", "run", this.folder)
    if config.task == "serve":
        from jdrec.serving.run import serve

        serve(config, this.folder, this.feature_set)
    elif config.task == "demo":
        from jdrec.serving.run import demo

        print(demo(config, this.folder, this.feature_set))
    return _validation_auc(this.folder) if STAGES.index(last) >= STAGES.index("evaluate") else None


def _run_stage(run: Run, name: str) -> None:
    start = time.perf_counter()
    if name == "render":
        reused, summary = False, _render(run)
    elif name == "check":
        reused, summary = False, _check(run)
    else:
        reused, summary = _run_cached(run, _CACHED[name])
    seconds = time.perf_counter() - start
    log.info("%-10s %s%s", name, "reused: " if reused else "", f"{summary} ({seconds:.1f} s)" if not reused else summary)
    run.record.append({"stage": name, "reused": reused, "seconds": round(seconds, 3), "summary": summary, "key": run.keys.get(name)})


def _run_cached(run: Run, stage: Stage) -> tuple[bool, str]:
    inputs = {
        "stage": stage.name,
        "after": run.keys.get(stage.after or ""),
        "code": [code_version(room) for room in stage.rooms],
        **msgspec.to_builtins(stage.inputs(run)),
    }
    run.keys[stage.name] = key = content_key(inputs)

    def make(out: Path) -> None:
        start = time.perf_counter()
        summary = stage.make(run, out)
        record = {"summary": summary, "seconds": round(time.perf_counter() - start, 3), "inputs": inputs}
        (out / "stage.json").write_text(json.dumps(record, indent=2, default=str) + "\n")

    if run.config.run:  # an earlier run's training is given, not derived: its results are not for the cache
        with tempfile.TemporaryDirectory(prefix=".work.", dir=run.folder) as work:
            make(Path(work))
            return False, _publish(Path(work), run.folder)
    cache = Cache(Path(run.config.cache.dir), enabled=run.config.cache.enabled)
    entry, reused = cache.get_or_make(stage.name, key, make)
    return reused, _publish(entry, run.folder)


def _publish(entry: Path, folder: Path) -> str:
    """Puts a stage's files into the run folder and returns its summary."""
    publish(entry, folder, [item.name for item in entry.iterdir() if item.name != "stage.json"])
    return json.loads((entry / "stage.json").read_text())["summary"]


def _render(run: Run) -> str:
    from jdrec.features.sql import render

    texts = render(run.feature_set, run.config, run.folder)
    for name, text in texts.items():
        _write_atomically(run.folder / "sql" / name, text)
    return ", ".join(texts)


def _check(run: Run) -> str:
    from jdrec.features.checks import check

    warnings = check(run.feature_set)
    for warning in warnings:
        log.warning("warning: %s", warning)
    summary = f"{len(run.feature_set.features)} columns, {len(run.feature_set.windows)} windows, {len(run.feature_set.joins)} joins"
    if run.config.task == "check":
        from jdrec.features import compiler

        compiler.check(run.feature_set)
        summary += "; accepted by OpenMLDB's compiler, batch and request"
    return summary


def _require_earlier(run: Run) -> None:
    if run.config.task not in ("evaluate", "export", "serve"):
        raise StageError(
            f"task={run.config.task} does not use an earlier run.", where="run", hint="Leave out run=, or use task=evaluate, export, serve."
        )
    for needed in (run.samples / "encoder.json", run.checkpoint / "checkpoint.json"):
        if not needed.is_file():
            raise StageError(f"{run.folder} is not a finished run: {needed.relative_to(run.folder)} is missing.", where="run")


def _write_record(run: Run, overrides: list[str]) -> None:
    record = {"task": run.config.task, "overrides": overrides, "stages": run.record, "config": msgspec.to_builtins(run.config)}
    _write_atomically(run.folder / "run.json", json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def _write_atomically(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f".{path.name}.{os.getpid()}")
    staging.write_text(text, encoding="utf-8")
    os.replace(staging, path)


def _validation_auc(folder: Path) -> float | None:
    file = folder / "metrics.json"
    return json.loads(file.read_text())["valid"]["auc"] if file.is_file() else None

"""The stages from a definition to a Triton repository: what goes into each, and what it leaves in the run folder."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from jdrec.cache import publish
from jdrec.config import Config
from jdrec.errors import MissingExtra
from jdrec.files import write_text
from jdrec.progress import Progress

if TYPE_CHECKING:
    from jdrec.dataset.tables import TableSet
    from jdrec.features.finding import Finding
    from jdrec.features.spec import FeatureSet
    from jdrec.tracking.record import Record, Status
    from jdrec.training.loop import Evaluation

log = logging.getLogger(__name__)


@dataclass
class Run:
    """One run: the configuration, its folder, and what is made once and used by several stages."""

    config: Config
    folder: Path
    progress: Progress = field(default_factory=Progress)
    keys: dict[str, str] = field(default_factory=dict)  # stage -> key of its result
    done: set[str] = field(default_factory=set)  # stages that ran for a caller who keeps this run
    record: Record | None = None  # run.json, where this run writes one
    watch: Callable[[Evaluation], None] | None = None  # is told the evaluations while this run trains

    @cached_property
    def feature_set(self) -> FeatureSet:
        from jdrec.features.resolve import resolve

        return resolve(self.config)

    @cached_property
    def tables(self) -> TableSet:
        from jdrec.dataset.tables import open_tables

        self.generate_tables()
        return open_tables(self.feature_set, Path(self.config.dataset.root), self.config.dataset.timezone)

    @cached_property
    def fingerprint(self) -> Any:
        """What is in the tables. They need not be opened for it: a result that is reused has been made from the same."""
        from jdrec.dataset.tables import fingerprint

        self.generate_tables()
        return fingerprint(self.feature_set, Path(self.config.dataset.root), Path(self.config.cache.dir) / ".files")

    def generate_tables(self) -> None:
        if self.config.dataset.generate is None:
            return
        from jdrec.dataset.generated.folder import generate

        generate(self.config.dataset.generate, Path(self.config.dataset.root), self.progress)

    def validation_auc(self) -> float | None:
        """From metrics.json, where the run got that far."""
        file = self.folder / "metrics.json"
        return json.loads(file.read_text())["valid"]["auc"] if file.is_file() else None

    def end(self, status: Status, error: str | None = None) -> None:
        """Notes how the run ended, and which data it read."""
        if self.record is not None:
            self.record.end(status, error, self.__dict__.get("fingerprint"))  # what was not looked at is not read for this

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
        then: what is done anew in every run folder, reused result or not; it may return another summary.
    """

    name: str
    after: str | None
    rooms: tuple[str, ...]
    inputs: Callable[[Run], Any]
    make: Callable[[Run, Path], str]
    then: Callable[[Run], str] | None = None


# --- what goes into each stage, and what it does -------------------------------------------------------------------------


def render(run: Run) -> str:
    """Writes sql/*.sql and Triton's config.pbtxt; as quick as looking them up, so they are not cached."""
    from jdrec.features import sql
    from jdrec.serving import pbtxt

    triton = run.config.serving.triton
    texts = {Path("sql") / name: text for name, text in sql.render(run.feature_set, run.config, run.folder).items()}
    texts[Path("triton") / triton.model / "config.pbtxt"] = pbtxt.render(run.feature_set, triton)
    for name, text in texts.items():
        write_text(run.folder / name, text)
    return ", ".join(name.name for name in texts)


def check(run: Run) -> str:
    """Checks the definition; task=check also shows every warning and asks OpenMLDB's compiler."""
    from jdrec.features import checks, compiler

    asked, deployable = run.config.task == "check", run.config.openmldb.deployable
    warnings = checks.check(run.feature_set, deployable=deployable)
    if asked:
        warnings += _check_data(run)
    for warning in warnings:
        log.log(logging.WARNING if asked else logging.DEBUG, "warning: %s", warning)
    summary = f"{len(run.feature_set.features)} columns, {len(run.feature_set.windows)} windows, {len(run.feature_set.joins)} joins"
    if warnings:
        summary += f", {_count(len(warnings))}" + ("" if asked else " (task=check shows them)")
    if asked:
        if run.config.engine.name == "embedded":
            from jdrec.engines.embedded.planner import make_plan

            make_plan(run.feature_set)  # refuses what only other engines have
        try:
            compiler.check(run.feature_set, deployable=deployable)
            summary += f"; accepted by OpenMLDB's compiler, {'batch and request' if deployable else 'batch'}"
        except MissingExtra as error:  # all but the compiler has spoken
            log.warning("warning: OpenMLDB's compiler was not asked: %s", error)
    return summary


def _count(warnings: int) -> str:
    return "1 warning" if warnings == 1 else f"{warnings} warnings"


def _check_data(run: Run) -> list[Finding]:
    """What the tables show, where they are."""
    from jdrec.dataset.tables import open_tables
    from jdrec.engines import data_checks

    root = Path(run.config.dataset.root)
    if not root.is_dir():  # not even generated ones: a check makes nothing
        log.info("no data in %s: the definition alone is checked", root)
        return []
    return data_checks.check(run.feature_set, open_tables(run.feature_set, root, run.config.dataset.timezone))


def _query(config: Config) -> dict[str, Any]:
    """The part of the definition that decides the values of features; kinds, encodings and the label come later."""
    features = msgspec.to_builtins(config.features)
    del features["label"]
    for feature in features["features"].values():
        feature.pop("kind"), feature.pop("encoding")
    tables = {name: {"time": table.time, "columns": table.columns} for name, table in config.dataset.tables.items()}
    return {"features": features, "order": list(features["features"]), "tables": tables, "timezone": config.dataset.timezone}


def _extract_inputs(run: Run) -> Any:
    cluster = run.config.openmldb
    engine = [run.config.engine.name, *([cluster.data_dir, cluster.cluster.load_offline] if run.config.engine.name == "openmldb" else [])]
    return {"query": _query(run.config), "data": run.fingerprint, "engine": engine}


def _extract(run: Run, out: Path) -> str:
    from jdrec.engines.choose import extract_with

    engine, file = run.config.engine.name, out / "features.parquet"
    report = extract_with(engine, run.feature_set, run.tables, file, config=run.config, progress=run.progress)
    summary = f"{report.rows:,} rows x {report.columns} columns, peak memory {report.peak_memory_bytes / 2**20:,.0f} MiB"
    return summary + (f", {_count(report.warnings)} about the tables (task=check shows them)" if report.warnings else "")


def _preprocess_inputs(run: Run) -> Any:
    fields = [(f.name, f.kind, f.encoding) for f in run.feature_set.features]
    label = msgspec.to_builtins(run.config.features.label) if run.config.features.label else None
    return {"preprocess": run.config.preprocess, "fields": fields, "label": label, "seed": _data_seed(run)}


def _data_seed(run: Run) -> int:
    """The seed of what is done to the data: the run's where the split is random, else always the same, so that seeds share their samples."""
    return run.config.seed if run.config.preprocess.split.by == "random" else _SAMPLE_SEED


def _preprocess(run: Run, out: Path) -> str:
    from jdrec import preprocess
    from jdrec.dataset.observed import observed_until

    report = preprocess.run(
        run.feature_set,
        run.config.preprocess,
        run.folder / "features.parquet",
        out / "samples",
        seed=_data_seed(run),
        observed_until_ms=observed_until(run.feature_set, run.tables),
        progress=run.progress,
    )
    return report.summary()


def _train_inputs(run: Run) -> Any:
    config = run.config
    trainer = config.trainer
    if trainer.start_from is not None:
        from jdrec.training.resume import with_start_by_content

        trainer = with_start_by_content(trainer)
    return {"model": config.model, "trainer": trainer, "seed": config.seed, "gauc_by": config.evaluate.gauc_by}


def _train(run: Run, out: Path) -> str:
    from jdrec import training

    config = run.config
    work = Path(config.cache.dir) / "unfinished" / run.keys["train"]  # a killed training is gone on with from here
    how: Any = {"seed": config.seed, "progress": run.progress, "evaluate": config.evaluate}
    report = training.finished(work / "checkpoints")
    report = report or training.train(config.model, config.trainer, run.samples, work / "checkpoints", watch=run.watch, **how)
    done = not report.interrupted and training.train_folds(config.model, config.trainer, run.samples, work / "checkpoints" / "folds", **how)
    if not done:  # what was learnt so far is kept with the run, but is not this stage's result
        publish(work, run.folder)
        log.warning("interrupted: the checkpoint so far is in %s; the same command goes on from there", run.folder / "checkpoints")
        raise KeyboardInterrupt
    shutil.move(work / "checkpoints", out / "checkpoints")
    shutil.rmtree(work, ignore_errors=True)
    return report.summary()


def _evaluate(run: Run, out: Path) -> str:
    from jdrec import training
    from jdrec.dataset.observed import best_possible_auc

    metrics: dict[str, Any] = {
        split: training.evaluate(run.checkpoint, run.samples, split, run.config.evaluate) for split in ("train", "valid", "test")
    }
    folds = training.evaluate_folds(run.checkpoint.parent / "folds", run.samples, msgspec.structs.replace(run.config.evaluate, bootstrap=0))
    if folds:
        metrics["folds"] = folds
        log.info("folds      %s", _folds_line(folds["auc"]))
    best = best_possible_auc(run.config.dataset)
    if best is not None:
        metrics["best_possible_auc"] = best
    (out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    limit = f" (best possible {best:.4f})" if best is not None else ""
    return ", ".join(_metrics_line(split, metrics[split]) for split in ("valid", "test")) + limit


def _folds_line(auc: dict[str, Any]) -> str:
    """As in: test AUC of 5 folds 0.5719 [0.5477, 0.5960]."""
    if auc["interval"] is None:
        return "test AUC undefined in all folds but one, or in all"
    low, high = auc["interval"]
    return f"test AUC of {len(auc['values'])} folds {auc['mean']:.4f} [{low:.4f}, {high:.4f}]"


def _metrics_line(split: str, metrics: dict[str, Any]) -> str:
    """As in: test AUC 0.5803 [0.5204, 0.6391] logloss 0.2970 [0.2512, 0.3430]."""
    from jdrec.training.metrics import stated

    found = metrics.get("interval", {})
    auc, logloss = (stated(metrics[name], found.get(name)) for name in ("auc", "logloss"))
    return f"{split} AUC {auc} logloss {logloss}"


def _export_inputs(run: Run) -> Any:
    return {"triton": run.config.serving.triton, "query": _query(run.config)}


def _export(run: Run, out: Path) -> str:
    from jdrec.serving.repository import export

    model = export(run.feature_set, run.config, checkpoint=run.checkpoint, samples=run.samples, out=out / "triton")
    return f"Triton model {model.relative_to(out)}"


def is_exported(run: Run) -> bool:
    """Whether the run folder holds the model repository that this configuration asks for."""
    from jdrec.serving import pbtxt

    triton = run.config.serving.triton
    model = run.folder / "triton" / triton.model
    config = model / "config.pbtxt"
    present = config.is_file() and (model / str(triton.version)).is_dir()
    return present and config.read_text(encoding="utf-8") == pbtxt.render(run.feature_set, triton)


def _report_inputs(run: Run) -> Any:
    return {"report": [run.config.report.rows, run.config.report.groups]}


def _report(run: Run, out: Path) -> str:
    from jdrec.report.collect import collect

    content = json.dumps(collect(run), ensure_ascii=False, allow_nan=False)
    (out / "report.json").write_text(content + "\n", encoding="utf-8")
    return f"{len(content) / 2**10:,.0f} KiB of statistics"


def _write_page(run: Run) -> str:
    from jdrec.report.page import write_page

    return write_page(run)


_SAMPLE_SEED = 2016  # of the training rows that statistics look at, where there are very many
_DATA = ("features", "dataset", "engines")
CACHED = {
    stage.name: stage
    for stage in (
        Stage("extract", None, _DATA, _extract_inputs, _extract),
        Stage("preprocess", "extract", ("preprocess",), _preprocess_inputs, _preprocess),
        Stage("train", "preprocess", ("models", "training"), _train_inputs, _train),
        Stage("evaluate", "train", ("training",), lambda run: {"evaluate": run.config.evaluate}, _evaluate),
        Stage("export", "evaluate", ("serving", "models", "training"), _export_inputs, _export),
        Stage("report", "export", ("report", "training"), _report_inputs, _report, _write_page),
    )
}

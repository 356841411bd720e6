"""Runs a task: the stages up to it, each reused from the cache where nothing that went into it has changed, then the verb."""

from __future__ import annotations

import json
import logging
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from jdrec.cache import RECORD, Cache, code_version, content_key, publish
from jdrec.config import STAGES, Config
from jdrec.errors import ConfigError, StageError
from jdrec.report import skipped
from jdrec.stages import CACHED, Run, Stage, check, is_exported, render
from jdrec.system import peak_memory
from jdrec.tracking import trackers
from jdrec.tracking.record import Record
from jdrec.verbs import VERBS

if TYPE_CHECKING:
    from jdrec.tracking.explain import Planned

log = logging.getLogger(__name__)

# Tasks that an earlier run is given to.
_WITH_RUN = ("evaluate", "export", "report", "serve", "demo", "publish", "feature_server", "verify", "score", "importance")


def run(config: Config, folder: Path, overrides: list[str] | None = None) -> float | None:
    """Runs the task.

    Args:
        config: the checked configuration.
        folder: where results go; `config.run`, if given, is used instead and its training is kept as it is.
        overrides: what the command line changed, for the record.

    Returns:
        The validation AUC, if the task got that far, so that any sweeper can maximise it.
    """
    this = Run(config, Path(config.run) if config.run else folder)
    told = trackers.Trackers([], folder)
    verb = VERBS.get(config.task)
    last = verb.after if verb else config.task
    if config.dry:
        if last is None or config.run:
            raise ConfigError("there is nothing to plan: the task runs no stages of its own.", where="dry")
        from jdrec.tracking.explain import show

        show(plan(this, last))
        return None
    if last is not None and not config.run:  # an earlier run keeps its record
        trackers.require(config.tracking)
        if config.trainer.start_from is not None and STAGES.index(last) >= STAGES.index("train"):
            from jdrec.training.resume import require_start

            require_start(config.trainer.start_from)
        this.record = Record(folder, config, overrides or [])
        told = trackers.start(config.tracking, folder)
        this.watch = told.evaluation
    try:
        if last is not None:
            _run_stages(this, last)
            log.info("%-10s %s", "run", this.folder)
        if verb:
            verb.act(this)
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        this.end("interrupted" if interrupted else "failed", None if interrupted else f"{type(error).__name__}: {error}")
        told.end()
        raise
    this.end("finished")
    told.end()
    return this.validation_auc() if last in ("evaluate", "export", "report") else None


def run_until(run: Run, last: str) -> None:
    """The stages up to `last`, for a caller that keeps the run; those that were run for it before are left alone.

    Raises:
        JdrecError: one of them cannot do its work; the record says so.
    """
    missing = [name for name in STAGES[: STAGES.index(last) + 1] if name not in run.done]
    if not missing:
        return
    if run.record is None:
        run.record = Record(run.folder, run.config, [])
    try:
        for name in missing:
            _run_stage(run, name)
            run.done.add(name)
    except BaseException as error:
        run.end("interrupted" if isinstance(error, KeyboardInterrupt) else "failed", f"{type(error).__name__}: {error}")
        raise
    run.end("finished")


def stands_alone(task: str) -> bool:
    """Whether a task leaves nothing in a run folder."""
    return task in VERBS and VERBS[task].after is None


def _run_stages(run: Run, last: str) -> None:
    first = STAGES[0]
    if run.config.run:
        _require_earlier(run)
        if run.config.task in VERBS and is_exported(run):
            return
        first = "report" if run.config.task == "report" and (run.folder / "metrics.json").is_file() else "evaluate"
    run.folder.mkdir(parents=True, exist_ok=True)
    for name in STAGES[STAGES.index(first) : STAGES.index(last) + 1]:
        _run_stage(run, name)


def _run_stage(run: Run, name: str) -> None:
    start = time.perf_counter()
    if name == "render":
        reused, summary = False, render(run)
    elif name == "check":
        reused, summary = False, check(run)
    elif name == "report" and (reason := skipped(run.config)):
        log.info("%-10s skipped: %s", name, reason)
        return
    else:
        reused, summary = _run_cached(run, CACHED[name])
    seconds = time.perf_counter() - start
    log.info("%-10s %s%s", name, "reused: " if reused else "", f"{summary} ({seconds:.1f} s)" if not reused else summary)
    if run.record is not None:
        key, peak = run.keys.get(name), peak_memory()
        run.record.stage(stage=name, reused=reused, seconds=round(seconds, 3), summary=summary, key=key, peak_memory_bytes=peak)


def _inputs(run: Run, stage: Stage) -> dict[str, Any]:
    """All that goes into a stage; notes the key that this gives its result."""
    inputs = {
        "stage": stage.name,
        "after": run.keys.get(stage.after or ""),
        "code": [code_version(room) for room in stage.rooms],
        **msgspec.to_builtins(stage.inputs(run)),
    }
    run.keys[stage.name] = content_key(inputs)
    return inputs


def plan(run: Run, last: str) -> list[Planned]:
    """What `_run_stages` would do, without doing it; generated tables that are missing are not made either."""
    from jdrec.dataset.generated.folder import is_generated
    from jdrec.tracking.explain import Planned, reasons

    cache = Cache(Path(run.config.cache.dir))
    settings = run.config.dataset.generate
    missing = settings is not None and not is_generated(settings, Path(run.config.dataset.root))
    planned = []
    for name in STAGES[: STAGES.index(last) + 1]:
        if name not in CACHED:
            planned.append(Planned(name, False, ["always"]))
        elif name == "report" and (reason := skipped(run.config)):
            planned.append(Planned(name, False, [f"skipped: {reason}"]))
        elif missing:
            planned.append(Planned(name, False, ["the tables have to be generated first"]))
        else:
            inputs = _inputs(run, CACHED[name])
            entries = [entry for entry in cache.entries() if entry.stage == name]
            reused = run.config.cache.enabled and any(entry.key == run.keys[name] for entry in entries)
            why = [] if reused else reasons(inputs, CACHED[name].after, entries) or ["cache.enabled=false"]
            planned.append(Planned(name, reused, why))
    return planned


def _run_cached(run: Run, stage: Stage) -> tuple[bool, str]:
    inputs = _inputs(run, stage)
    key = run.keys[stage.name]

    def make(out: Path) -> None:
        start = time.perf_counter()
        summary = stage.make(run, out)
        record = {"summary": summary, "seconds": round(time.perf_counter() - start, 3), "inputs": inputs}
        (out / RECORD).write_text(json.dumps(record, indent=2, default=str) + "\n")

    if run.config.run:  # an earlier run's training is given, not derived: its results are not for the cache
        with tempfile.TemporaryDirectory(prefix=".work.", dir=run.folder) as work:
            make(Path(work))
            return False, _publish(Path(work), run, stage)
    cache = Cache(Path(run.config.cache.dir), enabled=run.config.cache.enabled)
    entry, reused = cache.get_or_make(stage.name, key, make)
    return reused, _publish(entry, run, stage)


def _publish(entry: Path, run: Run, stage: Stage) -> str:
    """Puts a stage's files into the run folder, does what belongs to this run alone, and returns the summary."""
    publish(entry, run.folder, [item.name for item in entry.iterdir() if item.name != RECORD])
    return stage.then(run) if stage.then else json.loads((entry / RECORD).read_text())["summary"]


def _require_earlier(run: Run) -> None:
    if run.config.task not in _WITH_RUN:
        raise StageError(
            f"task={run.config.task} does not use an earlier run.",
            where="run",
            hint=f"Leave out run=, or use task={', '.join(_WITH_RUN)}.",
        )
    for needed in (run.samples / "encoder.json", run.checkpoint / "checkpoint.json"):
        if not needed.is_file():
            raise StageError(f"{run.folder} is not a finished run: {needed.relative_to(run.folder)} is missing.", where="run")

"""The tasks that are not stages: what each does once the stages it needs have run."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jdrec.stages import Run


@dataclass(frozen=True)
class Verb:
    """A task that acts on a run.

    Attributes:
        after: the stage that has to be done before; None: no run folder is needed.
    """

    after: str | None
    act: Callable[[Run], None]


def _serve(run: Run) -> None:
    from jdrec.serving.run import serve

    serve(run.config, run.folder, run.feature_set)


def _demo(run: Run) -> None:
    from jdrec.serving.run import demo

    answer = demo(run.config, run.folder, run.feature_set)
    print(answer, "", "What was made lies here:", sep="\n")
    made = {str(run.folder / place): what for place, what in _PLACES.items() if (run.folder / place).exists()}
    width = max(map(len, made))
    for place, what in made.items():
        print(f"  {place:<{width}}  {what}")
    print(f"Serve it for longer:  {_python()} -m jdrec task=serve run={run.folder}")


def _python() -> str:
    """How to call this Python from here: make puts it into .venv, where the PATH may not lead."""
    here, on_path = Path(sys.executable), shutil.which("python")
    if on_path and Path(on_path) == here:
        return "python"
    return str(here.relative_to(Path.cwd())) if here.is_relative_to(Path.cwd()) else str(here)


_PLACES = {
    "sql": "create, load, extract and deploy statements for OpenMLDB",
    "features.parquet": "the features of every request",
    "samples": "train, valid and test; data_info.txt describes them",
    "checkpoints/best": "the trained network (safetensors)",
    "metrics.json": "AUC and logloss of every split",
    "report.html": "all of it on one page, for a browser",
    "triton": "the model repository that Triton served",
    "run.json": "the whole configuration, and what ran",
    "jdrec.log": "the log",
}


def _deploy(run: Run) -> None:
    from jdrec import deploy

    deploy.run(run.config, run.feature_set, run.folder, run.progress)


def _compare(run: Run) -> None:
    from jdrec import compare

    compare.run(run.config, run.feature_set, run.tables, run.progress)


def _predict(run: Run) -> None:
    from jdrec.serving.client import predict

    predict(run.config)


def _publish(run: Run) -> None:
    from jdrec.serving.commands import publish

    publish(run.config, run.folder)


def _reload(run: Run) -> None:
    from jdrec.serving.commands import reload

    reload(run.config)


def _rollback(run: Run) -> None:
    from jdrec.serving.commands import rollback

    rollback(run.config)


def _verify(run: Run) -> None:
    from jdrec.verify.run import verify

    verify(run)


def _score(run: Run) -> None:
    from jdrec.score.run import score

    score(run)


def _importance(run: Run) -> None:
    from jdrec.report.importance import run_importance

    run_importance(run)


def _runs(run: Run) -> None:
    from jdrec.tracking import leaderboard

    leaderboard.show(run.config)


def _diff(run: Run) -> None:
    from jdrec.tracking import diff

    diff.show(run.config)


def _doctor(run: Run) -> None:
    from jdrec import doctor

    doctor.show(run.config, run.feature_set)


def _init(run: Run) -> None:
    from jdrec.starter.run import init

    init(run.config.init)


def _cache(run: Run) -> None:
    from jdrec.tracking import cached

    cached.show(run.config.cache)


def _feature_server(run: Run) -> None:
    from jdrec.serving.feature_server import serve

    serve(run.config, run.folder, run.feature_set, run.progress)


VERBS = {
    "deploy": Verb("check", _deploy),
    "compare": Verb("check", _compare),
    "serve": Verb("export", _serve),
    "demo": Verb("report", _demo),
    "predict": Verb(None, _predict),
    "feature_server": Verb("check", _feature_server),
    "publish": Verb("export", _publish),
    "reload": Verb(None, _reload),
    "rollback": Verb(None, _rollback),
    "verify": Verb("train", _verify),
    "score": Verb("train", _score),
    "importance": Verb("report", _importance),
    "runs": Verb(None, _runs),
    "diff": Verb(None, _diff),
    "cache": Verb(None, _cache),
    "doctor": Verb(None, _doctor),
    "init": Verb(None, _init),
}

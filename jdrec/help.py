"""What `python -m jdrec --help` prints: one screen, without composing anything, so that it is there at once; with task=NAME, that task's keys."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from jdrec.paths import CONF

# The keys that a task reads, besides those of the stages before it.
_KEYS = {
    "render": ("openmldb", "serving.triton"),
    "check": ("dataset", "features", "openmldb"),
    "extract": ("dataset", "engine"),
    "preprocess": ("preprocess", "features.label"),
    "train": ("model", "trainer", "seed"),
    "evaluate": ("run",),
    "export": ("serving.triton", "run"),
    "report": ("report", "run"),
    "importance": ("importance", "run"),
    "deploy": ("deploy", "openmldb"),
    "compare": ("compare", "engine"),
    "serve": ("serving", "online", "run"),
    "demo": ("serving",),
    "predict": ("request", "serving.host", "serving.port"),
    "publish": ("serving.repository", "serving.triton.model", "run"),
    "reload": ("serving.pin", "serving.host", "serving.port"),
    "rollback": ("serving.host", "serving.port"),
    "feature_server": ("online", "openmldb.deployment"),
    "verify": ("verify", "run"),
    "score": ("score", "run"),
    "runs": ("runs", "leaderboard"),
    "diff": ("runs",),
    "cache": ("cache",),
    "doctor": (),
    "init": ("init",),
}

_TEXT = """\
jdrec turns one declarative configuration into a served model.

  python -m jdrec +experiment=jd_demo                    all, on generated tables
  python -m jdrec +experiment=jd_deepfm dataset.root=DIR          the real tables
  python -m jdrec -m +experiment=jd_demo model.embedding_dim=8,16         a sweep
  python -m jdrec task=serve run=outputs/runs/DAY/TIME       serve an earlier run

Stages (task=NAME runs those before it and reuses what is up to date)
  render      create, load, extract and deploy SQL            -> sql/
  check       the definition, by jdrec and OpenMLDB's compiler
  extract     the features of every request                   -> features.parquet
  preprocess  ids and splits                                  -> samples/
  train       the network                                     -> checkpoints/
  evaluate    AUC, logloss and more of whole splits           -> metrics.json
  export      a Triton model repository                       -> triton/
  report      one page of all that (the default)              -> report.html
Serving
  serve       Triton and the prediction service, until Ctrl-C
  predict     ask the running service: request=FILE
  demo        serve, ask for one prediction, stop
  publish     add a run's model to serving.repository as its next version
  reload      the running service serves the newest, or serving.pin=MODEL/N
  rollback    the running service goes back to the version before
  feature_server  the features alone, by the protocol of OpenMLDB's APIServer
  deploy      to an OpenMLDB cluster: the plan; deploy.apply=true does it
Looking
  compare     two engines cell by cell: compare.with=spark
  verify      replay requests online and compare with offline, cell by cell
  score       score a table and rank it: best products a user, users a product
  importance  how much each feature matters, by permutation
  runs        a table of earlier runs
  diff        what two of them do not share: runs=[A,B]
  cache       what results the cache holds; cache.prune=true removes
  init        a starter configuration for a folder: init.folder=DIR
  doctor      what is installed and runs here, and how to get the rest

Groups (GROUP=NAME; an experiment is added: +experiment=NAME)
{groups}

Most used keys (docs/reference.md has all; every key can be overridden)
  dataset.root=DIR  seed=N  run=DIR  hydra.run.dir=DIR  cache.enabled=false
  openmldb.version=0.6|0.9  preprocess.split.by=time|random|row_order
  model.embedding_dim=16  model.dnn=[400,400,400]  model.dropout=0.2
  trainer.learning_rate=1e-3  trainer.batch_size=1000  serving.port=8887

--cfg job prints the composed configuration, -m sweeps, --config-dir DIR adds
your own, task=NAME --help has a task's keys, --hydra-help is Hydra's own help.
"""
_WIDTH = 100


def text(arguments: Sequence[str] = ()) -> str:
    """The help: of the task that the arguments name, or of all, with the groups and options that are shipped."""
    task = next((item.removeprefix("task=") for item in arguments if item.startswith("task=")), None)
    if task in _KEYS:
        return _of_task(task)
    groups = sorted(place for place in CONF.iterdir() if place.is_dir() and place.name != "hydra")
    lines = [f"  {group.name:<11} {', '.join(sorted(file.stem for file in group.glob('*.yaml')))}" for group in groups]
    return _TEXT.format(groups="\n".join(lines))


def _of_task(task: str) -> str:
    from jdrec.config import Config
    from jdrec.config.describe import rows

    line = re.search(rf"^  {task} +(.*)$", _TEXT, re.MULTILINE)
    parts = [f"task={task}: {re.sub(' {2,}', ' ', line[1])}" if line else f"task={task}", ""]
    prefixes = _KEYS[task]
    for key in rows(Config):
        if any(key.name == prefix or key.name.startswith(f"{prefix}.") for prefix in prefixes):
            default = f" = {key.default}" if key.default not in ("", "required") else ""
            parts.append(f"  {key.name}{default}  ({key.type})")
            parts += textwrap.wrap(key.description, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(parts if prefixes else parts[:1]) + "\n"

"""What `python -m jdrec --help` prints: one screen, without composing anything, so that it is there at once."""

from __future__ import annotations

from jdrec.paths import CONF

_TEXT = """\
jdrec turns one declarative configuration into a served model.

  python -m jdrec +experiment=jd_demo                    all, on generated tables
  python -m jdrec +experiment=jd_deepfm dataset.root=DIR          the real tables
  python -m jdrec -m +experiment=jd_demo model.embedding_dim=8,16         a sweep
  python -m jdrec task=serve run=outputs/runs/DAY/TIME       serve an earlier run

Tasks (task=NAME; a stage runs those before it and reuses what is up to date)
  render      create, load, extract and deploy SQL            -> sql/
  check       the definition, by jdrec and OpenMLDB's compiler
  extract     the features of every request                   -> features.parquet
  preprocess  ids and splits                                  -> samples/
  train       the network                                     -> checkpoints/
  evaluate    AUC and logloss of whole splits                 -> metrics.json
  export      a Triton model repository (the default)         -> triton/
  deploy      to an OpenMLDB cluster: the plan; deploy.apply=true does it
  compare     two engines cell by cell: compare.with=spark
  serve       Triton and the prediction service, until Ctrl-C
  predict     ask the running service: request=FILE
  publish     add a run's model to serving.repository as its next version
  reload      the running service serves the newest, or serving.pin=MODEL/N
  rollback    the running service goes back to the version before
  verify      replay requests online and compare with offline, cell by cell
  score       score a table and rank it: best products a user, users a product
  runs        a table of earlier runs; diff runs=[A,B] what two do not share
  cache       what results the cache holds; cache.prune=true removes
  init        a starter configuration for a folder: init.folder=DIR
  doctor      what is installed and runs here, and how to get the rest
  demo        serve, ask for one prediction, stop

Groups (GROUP=NAME; an experiment is added: +experiment=NAME)
{groups}

Most used keys (docs/reference.md has all; every key can be overridden)
  dataset.root=DIR  seed=N  run=DIR  hydra.run.dir=DIR  cache.enabled=false
  openmldb.version=0.6|0.9  preprocess.split.by=time|random|row_order
  model.embedding_dim=16  model.dnn=[400,400,400]  model.dropout=0.2
  trainer.learning_rate=1e-3  trainer.batch_size=1000  serving.port=8887

--cfg job prints the composed configuration, -m sweeps, --config-dir DIR adds
your own, --hydra-help is Hydra's own help.
"""


def text() -> str:
    """The help, with the groups and options that are shipped."""
    groups = sorted(place for place in CONF.iterdir() if place.is_dir() and place.name != "hydra")
    lines = [f"  {group.name:<11} {', '.join(sorted(file.stem for file in group.glob('*.yaml')))}" for group in groups]
    return _TEXT.format(groups="\n".join(lines))

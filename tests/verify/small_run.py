"""A small run as training leaves it: tables, features.parquet, samples and a model with random weights over the ids of its samples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jdrec import preprocess
from jdrec.config import Config, load
from jdrec.engines import extract
from jdrec.models import FieldSpec, ModelSpec, build, numpy_nn
from jdrec.models.initial import EMBEDDING
from jdrec.preprocess.encoder import Encoder
from jdrec.progress import Progress
from jdrec.stages import Run
from jdrec.training.checkpoint import Checkpoint, TrainingState
from jdrec.training.vocabulary import Vocabulary
from tests.engines.tables import write_tables

Row = dict[str, Any]
START, STEP = 1459419080000, 60_000
REQUESTS, EVENTS = 120, 200

TABLES = {
    "request": {
        "time": "at",
        "columns": {"id": "string", "at": "timestamp", "reader": "string", "ad": "int", "price": "float", "day": "date", "flag": "bool"},
    },
    "event": {"time": "at", "columns": {"reader": "string", "at": "timestamp", "kind": "string", "n": "int"}},
    "ad": {"columns": {"ad": "int", "brand": "string"}},
    "outcome": {"columns": {"id": "string", "bought": "int"}},
}
FEATURES = {
    "request": {"table": "request", "key": "id", "time": "at"},
    "label": {"feature": "bought"},
    "windows": {
        "own": {"partition_by": "reader", "rows": 3},
        "seen": {"union": "event", "partition_by": "reader", "range": "1h", "exclude": "instances"},
        "before": {"union": "event", "partition_by": "reader", "rows": 5, "exclude": ["instances", "current_time"]},
    },
    "joins": {"ad": {"last_join": "ad", "on": "ad"}, "outcome": {"last_join": "outcome", "on": "id"}},
    "features": {
        "bought": {"from": "outcome", "expr": "bought"},
        "f_reader": {"expr": "reader"},
        "brand": {"from": "ad", "expr": "brand"},
        "f_price": {"expr": "price", "encoding": "numeric"},
        "f_day": {"expr": "day", "kind": "drop"},
        "f_at": {"expr": "at", "kind": "drop"},
        "own_count": {"over": "own", "expr": "count(*)", "kind": "categorical"},
        "own_price": {"over": "own", "expr": "avg(price)", "encoding": "numeric"},
        "kinds": {"over": "seen", "expr": "topn_frequency(kind, 2)"},
        "sum_n": {"over": "seen", "expr": "sum(n)", "kind": "categorical"},
        "before_count": {"over": "before", "expr": "count(kind)", "kind": "categorical"},
    },
}


def rows(count: int = REQUESTS) -> dict[str, list[Row]]:
    """Times come in steps of a minute, so that many rows coincide; readers and kinds may be NULL; brands change after requests."""
    import datetime

    random = np.random.default_rng(3)

    def moments(count: int) -> list[int]:
        return sorted(START + STEP * int(step) for step in random.integers(0, 60, count))

    def reader() -> str | None:
        return None if random.random() < 0.05 else f"r{random.integers(5)}"

    requests = [
        {
            "id": f"q{number}",
            "at": at,
            "reader": reader(),
            "ad": int(random.integers(8)),
            "price": None if number % 17 == 0 else float(np.float32(random.random())),
            "day": datetime.date(2016, 3, 1 + number % 30),
            "flag": bool(random.random() < 0.5),
        }
        for number, at in enumerate(moments(count))
    ]
    random.shuffle(requests)  # a table is in no order; rows of one moment come as they stand
    kinds = ["view", "click", "", None]
    return {
        "request": requests,
        "event": [
            {"reader": reader(), "at": at, "kind": kinds[random.integers(4)], "n": int(random.integers(9))} for at in moments(EVENTS)
        ],
        "ad": [{"ad": ad, "brand": f"b{ad % 3}{version}"} for version in range(2) for ad in range(7)],
        "outcome": [{"id": row["id"], "bought": int(random.random() < 0.3)} for row in requests],
    }


def config_of(root: Path, **sections: Any) -> Config:
    dataset = {"root": str(root), "database": "db", "tables": {name: {"path": name, **table} for name, table in TABLES.items()}}
    split = {"by": "random", "train": 0.6, "test": 0.2}
    return load({"dataset": dataset, "features": FEATURES, "preprocess": {"split": split}, **sections})


def make_run(folder: Path, tables: dict[str, list[Row]] | None = None) -> Run:
    """A run in `folder`, its tables in `folder`/tables; run.json lets the command line find it."""
    config = config_of(folder / "tables")
    run = Run(config, folder, Progress.silent())
    write_tables(run.feature_set, tables or rows(), folder / "tables")
    extract(run.feature_set, run.tables, folder / "features.parquet", threads=1, progress=Progress.silent())
    silent, features = Progress.silent(), folder / "features.parquet"
    preprocess.run(run.feature_set, config.preprocess, features, run.samples, seed=config.seed, observed_until_ms=None, progress=silent)
    model(Encoder.load(run.samples / "encoder.json"), run.samples).save(run.checkpoint)
    (folder / "run.json").write_text(json.dumps({"task": "export", "config": msgspec.to_builtins(config)}))
    return run


def with_config(run: Run, root: Path | None = None, **sections: Any) -> Run:
    """The run with other settings: `with_config(run, verify={"batch": 4})`; `root` has its tables, by default the folder of its own."""
    return Run(config_of(root or run.folder / "tables", **sections), run.folder, Progress.silent())


def model(encoder: Encoder, samples: Path) -> Checkpoint:
    """A DeepFM with random weights large enough for scores that differ; it knows the ids of the training samples."""
    ids = encoder.read_samples(pq.read_table(samples / "train.parquet"))
    names, encodings = tuple(field.name for field in encoder.fields), tuple(field.encoding for field in encoder.fields)
    known = tuple(np.empty(0, np.int64) if encoding.value == "numeric" else np.unique(ids[:, i]) for i, encoding in enumerate(encodings))
    vocabulary = Vocabulary(names, encodings, known)
    fields = tuple(FieldSpec(n, e, int(rows)) for n, e, rows in zip(names, encodings, vocabulary.sizes, strict=True))
    spec = ModelSpec(name="deepfm", fields=fields, embedding_dim=4, dnn=(16, 8), dropout=0.1)
    random = np.random.default_rng(1)
    weights = {EMBEDDING: random.normal(0, 0.4, (spec.rows, 5)).astype(np.float32)}
    for name, module in vars(build(numpy_nn, spec).dnn).items():
        for parameter, value in vars(module).items():
            if isinstance(value, np.ndarray):
                weights[f"dnn.{name}.{parameter}"] = random.normal(0, 0.4, value.shape).astype(np.float32)
    state = TrainingState(step=1, epoch=1.0, seed=1, framework="none", device="cpu", metrics={"auc": 0.7}, versions={})
    return Checkpoint(spec, vocabulary, weights, state)


def change(file: Path, column: str, row: int, value: Any) -> None:
    """Puts another value into one cell of a Parquet file."""
    table = pq.read_table(file)
    values = table[column].to_pylist()
    values[row] = value
    pq.write_table(table.set_column(table.schema.get_field_index(column), column, pa.array(values, table[column].type)), file)

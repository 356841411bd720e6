"""Small checkpoints with random weights: what training leaves, made without training."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np

from jdrec.config import Config, ServingConfig, TritonConfig
from jdrec.features.spec import Encoding, FeatureSet, Kind
from jdrec.models import FieldSpec, ModelSpec, build, numpy_nn
from jdrec.models.initial import EMBEDDING
from jdrec.preprocess.encoder import Encoder, Field
from jdrec.serving.repository import export
from jdrec.training.checkpoint import Checkpoint, TrainingState
from jdrec.training.vocabulary import Vocabulary

KNOWN = np.arange(0, 1000, 10, dtype=np.int64)  # known ids of every hashed field


def checkpoint(feature_set: FeatureSet, numeric: int = 0, dnn: tuple[int, ...] = (8, 4)) -> Checkpoint:
    """A DeepFM over the feature set's fields, the first `numeric` of them numeric, with large enough weights for scores that differ."""
    names = tuple(field.name for field in feature_set.fields)
    encodings = tuple(Encoding.NUMERIC if i < numeric else Encoding.HASH for i in range(len(names)))
    vocabulary = Vocabulary(names, encodings, tuple(np.empty(0, np.int64) if i < numeric else KNOWN for i in range(len(names))))
    fields = tuple(FieldSpec(n, e, int(rows)) for n, e, rows in zip(names, encodings, vocabulary.sizes, strict=True))
    spec = ModelSpec(name="deepfm", fields=fields, embedding_dim=4, dnn=dnn, dropout=0.1)
    random = np.random.default_rng(1)
    weights = {EMBEDDING: random.normal(0, 0.1, (spec.rows, 5)).astype(np.float32)}
    for name, module in vars(build(numpy_nn, spec).dnn).items():
        for parameter, value in vars(module).items():
            if isinstance(value, np.ndarray):
                weights[f"dnn.{name}.{parameter}"] = random.normal(0, 0.3, value.shape).astype(np.float32)
    state = TrainingState(step=1, epoch=1.0, seed=1, framework="none", device="cpu", metrics={"auc": 0.7}, versions={})
    return Checkpoint(spec, vocabulary, weights, state)


def run_folder(folder: Path, feature_set: FeatureSet, **options) -> Path:
    """The folder of a run as training leaves it: checkpoints/best and samples/."""
    checkpoint(feature_set, **options).save(folder / "checkpoints" / "best")
    (folder / "samples").mkdir()
    (folder / "samples" / "encoder.json").write_text(encoder(feature_set).to_json())
    (folder / "samples" / "data_info.json").write_text(json.dumps({"train": 1}))
    return folder


def random_ids(rows: int, fields: int, numeric: int = 0) -> np.ndarray:
    """int64 [rows, fields]: known and unknown ids; bit patterns of float64 in the first `numeric` columns."""
    random = np.random.default_rng(2)
    ids = random.integers(0, 1000, (rows, fields))
    ids[::3] *= 10
    ids[:, :numeric] = random.normal(size=(rows, numeric)).view(np.int64)
    return ids


def configuration(**triton) -> Config:
    dataset = {"root": ".", "database": "db", "tables": {}}
    features = {"request": {"table": "requests", "key": "id", "time": "at"}, "features": {}}
    config = msgspec.convert({"dataset": dataset, "features": features}, Config)
    return msgspec.structs.replace(config, serving=ServingConfig(triton=TritonConfig(**triton)))


def export_run(run: Path, feature_set, config: Config) -> Path:
    return export(feature_set, config, checkpoint=run / "checkpoints" / "best", samples=run / "samples", out=run / "triton")


def encoder(feature_set: FeatureSet) -> Encoder:
    """An encoder as if fitted: numeric features standardised by mean 0.5 and deviation 2, all others hashed."""
    fields = tuple(
        Field(f.name, f.name, f.type, Encoding.NUMERIC, mean=0.5, std=2.0, least=-100.0, greatest=100.0)
        if f.kind is Kind.NUMERIC
        else Field(f.name, f.name, f.type, Encoding.HASH)
        for f in feature_set.fields
    )
    return Encoder(fields, "canonical", 10, feature_set.timezone, "label", "label", {})


def serving_configuration(apiserver: str, port: int = 0, **triton) -> Config:
    """A configuration that serves on free ports and gets its features from an APIServer."""
    config = configuration(http_port=0, start_timeout_s=30.0, **triton)
    serving = msgspec.structs.replace(config.serving, port=port, features="openmldb")
    openmldb = msgspec.structs.replace(config.openmldb, endpoint=apiserver)
    return msgspec.structs.replace(config, serving=serving, openmldb=openmldb)

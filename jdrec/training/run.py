"""`train` and `evaluate`: from a samples folder to checkpoints and metrics."""

from __future__ import annotations

import json
import logging
import math
from importlib import metadata
from pathlib import Path

import numpy as np

from jdrec.config import ModelConfig, TrainerConfig
from jdrec.errors import TrainingError
from jdrec.files import write_text
from jdrec.models import FieldSpec, ModelSpec
from jdrec.progress import Progress
from jdrec.training import oneflow_launch
from jdrec.training.adapter import Adapter
from jdrec.training.checkpoint import Checkpoint, TrainingState
from jdrec.training.data import RawSplit, Split, read_layout
from jdrec.training.loop import Loop, TrainReport
from jdrec.training.metrics import all_metrics
from jdrec.training.schedule import Schedule
from jdrec.training.scoring import Scorer
from jdrec.training.vocabulary import Vocabulary

log = logging.getLogger(__name__)

GRAPH = "graph"  # folder of a checkpoint: what the oneflow Triton backend runs
REPORT = "training.json"
_SCORING_ROWS = 4096  # a batch of whole-split scoring: hidden layers of this many rows stay in the processor's cache


def train(
    model: ModelConfig, trainer: TrainerConfig, samples: Path, out: Path, *, seed: int, progress: Progress | None = None
) -> TrainReport:
    """Trains a model on the train split and watches it on the valid split.

    Leaves in `out`: best/ (the checkpoint to use: the best evaluation's, or the last weights with save_best=false), step_N/ and
    initial/ where configured, and training.json, the report.

    Args:
        model: the model's configuration.
        trainer: the trainer's.
        samples: folder with train.parquet, valid.parquet and data_info.json.
        out: folder of the checkpoints.
        seed: of initial weights, dropout and shuffling.
        progress: where to show it.

    Raises:
        StageError: there are no samples.
        DataError: the samples are not what they should be.
        TrainingError: a split cannot be trained on or watched, the device is not there, or the loss is no longer a number.
        MissingExtra: the framework is not installed.
    """
    device = _choose_device(trainer)
    if trainer.devices_per_node > 1 and device == "cuda" and not oneflow_launch.launched():
        oneflow_launch.launch(oneflow_launch.Request(model, trainer, str(samples), str(out), seed))
        return TrainReport.from_json(json.loads((out / REPORT).read_text()), out)
    layout = read_layout(samples)
    raw = {split: RawSplit.read(samples, split, layout) for split in ("train", "valid")}
    for split, data in raw.items():
        _require_both_classes(split, data.labels)
    vocabulary = Vocabulary.learn(layout.names, layout.encodings, raw["train"].columns, model.min_count)
    spec = ModelSpec(
        model.name,
        tuple(
            FieldSpec(name, encoding, int(rows))
            for name, encoding, rows in zip(layout.names, layout.encodings, vocabulary.sizes, strict=True)
        ),
        model.embedding_dim,
        tuple(model.dnn),
        model.dropout,
    )
    splits = {name: Split(raw.pop(name), vocabulary) for name in ("train", "valid")}
    decay = trainer.learning_rate_decay
    schedule = Schedule.by_epoch(
        trainer.learning_rate, decay.factor, decay.min, epoch_batches=math.ceil(len(splits["train"]) / trainer.batch_size)
    )
    out.mkdir(parents=True, exist_ok=True)
    adapter = _make_adapter(device, spec, trainer, schedule, vocabulary, out, seed)

    def save(folder: Path, weights: dict[str, np.ndarray], step: int, epoch: float, metrics: dict[str, float]) -> None:
        state = TrainingState(step, epoch, seed, adapter.framework, adapter.device, metrics, _versions())
        graph = trainer.save_graph_for_serving and folder.name == "best"
        Checkpoint(spec, vocabulary, weights, state).save(folder, (lambda place: adapter.save_graph(place / GRAPH)) if graph else None)

    loop = Loop(adapter, splits["train"], splits["valid"], trainer, schedule, out, save, seed, progress or Progress.silent())
    report = loop.run()
    if adapter.is_main:
        write_text(out / REPORT, json.dumps(report.to_json(), indent=2) + "\n")
    return report


def evaluate(checkpoint: Path, samples: Path, split: str) -> dict[str, float | None]:
    """Metrics of a checkpoint on a whole split, scored as the served model does.

    Returns:
        auc, logloss, rows, positives, base_rate; None where a metric is not defined (an AUC of one class, anything of no rows).

    Raises:
        StageError: there are no samples, or no checkpoint.
        DataError: the samples are not what they should be.
    """
    scorer = Scorer(checkpoint)
    data = Split(RawSplit.read(samples, split, read_layout(samples)), scorer.vocabulary)
    logits = [scorer.logits(batch.rows, batch.scale)[:, 0] for batch in data.batches(_SCORING_ROWS)]
    metrics = all_metrics(data.labels, np.concatenate([np.empty(0, np.float32), *logits]))
    return {name: None if math.isnan(value) else value for name, value in metrics.items()}


def _choose_device(trainer: TrainerConfig) -> str:
    from jdrec.training.oneflow_library import choose_device, load_oneflow

    flow = load_oneflow()
    device = choose_device(trainer.device, flow)
    if device == "cpu":
        ignored = [name for name in ("amp", "fused_mlp") if getattr(trainer, name)] + ["devices_per_node"] * (trainer.devices_per_node > 1)
        if ignored:
            log.info("training on the CPU: %s left aside", ", ".join(f"trainer.{name}" for name in ignored))
    elif trainer.devices_per_node > flow.cuda.device_count():
        raise TrainingError(
            f"{trainer.devices_per_node} GPUs are asked for, {flow.cuda.device_count()} are here.", where="trainer.devices_per_node"
        )
    return device


def _make_adapter(
    device: str, spec: ModelSpec, trainer: TrainerConfig, schedule: Schedule, vocabulary: Vocabulary, out: Path, seed: int
) -> Adapter:
    if device == "cuda":
        from jdrec.training.oneflow_gpu import OneFlowGpuAdapter

        persistent = Path(trainer.one_embedding.persistent_path or out / "persistent").absolute()
        return OneFlowGpuAdapter(spec, trainer, schedule, vocabulary, persistent, seed)
    from jdrec.training.oneflow_adapter import OneFlowAdapter

    return OneFlowAdapter(spec, trainer, seed)


def _require_both_classes(split: str, labels: np.ndarray) -> None:
    positives = int(np.count_nonzero(labels))
    if 0 < positives < len(labels):
        return
    what = "no rows" if not len(labels) else f"{len(labels):,} rows, {positives:,} of them positive"
    raise TrainingError(
        f"The {split} split has {what}: training needs both classes in it.",
        where="preprocess.split",
        hint="Give it a larger share, or look at features.label.",
    )


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in ("jdrec", "numpy")}

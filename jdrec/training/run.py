"""`train`: from a samples folder to checkpoints."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import msgspec
import numpy as np

from jdrec import files
from jdrec.config import EvaluateConfig, ModelConfig, TrainerConfig, names
from jdrec.errors import ConfigError, StageError, TrainingError, nearest
from jdrec.models import FieldSpec, ModelSpec
from jdrec.models.initial import EMBEDDING
from jdrec.progress import Progress
from jdrec.training import frameworks
from jdrec.training.adapter import Adapter
from jdrec.training.checkpoint import Checkpoint, TrainingState
from jdrec.training.data import Layout, Split, read_layout
from jdrec.training.early_stop import monitored_metrics
from jdrec.training.evaluation import kept_column, read_groups
from jdrec.training.loop import Evaluation, Loop, TrainReport, last_batch
from jdrec.training.optimizers import STATES
from jdrec.training.reader import SampleFile
from jdrec.training.request import Request
from jdrec.training.resume import SnapshotFolder, training_key, with_start_by_content
from jdrec.training.schedule import Schedule
from jdrec.training.vocabulary import Vocabulary

log = logging.getLogger(__name__)

GRAPH = "graph"  # folder of a checkpoint: what the oneflow Triton backend runs
REPORT = "training.json"
UNFINISHED = "unfinished"  # folder: the state that a killed training resumes from


def train(
    model: ModelConfig,
    trainer: TrainerConfig,
    samples: Path,
    out: Path,
    *,
    seed: int,
    progress: Progress | None = None,
    evaluate: EvaluateConfig | None = None,
    title: str = "",
    watch: Callable[[Evaluation], None] | None = None,
) -> TrainReport:
    """Trains a model on the train split and watches it on the valid split.

    Leaves in `out`: best/ (the checkpoint to use: the best evaluation's, or the last weights with save_best=false), step_N/ and
    initial/ where configured, and training.json, the report. If it is killed, `out` also has what the same call goes on from.

    Args:
        model: the model's configuration.
        trainer: the trainer's.
        samples: folder with train.parquet, valid.parquet and data_info.json.
        out: folder of the checkpoints.
        seed: of initial weights, dropout and shuffling.
        progress: where to show it.
        evaluate: gauc_by is used.
        title: of this training among several, as in fold 2 of 5, for the log.
        watch: is told every evaluation as it is made, and after a resume those of before; by a training in this process only.

    Raises:
        StageError: there are no samples, or no checkpoint to start from.
        DataError: the samples are not what they should be.
        ConfigError: the configuration does not fit the samples.
        TrainingError: a split cannot be trained on or watched, the device is not there, or the loss is no longer a number.
        MissingExtra: the framework is not installed.
    """
    device = frameworks.choose_device(trainer)
    evaluate = evaluate or EvaluateConfig()
    if frameworks.must_launch(trainer, device):
        frameworks.launch(Request(model, trainer, str(samples), str(out), seed, evaluate, title), device)
        return TrainReport.from_json(json.loads((out / REPORT).read_text()), out)
    layout = read_layout(samples)
    groups = _groups(trainer, evaluate, samples, layout)
    share = {"train": trainer.negative_share, "valid": 1.0}
    found = {split: SampleFile(samples, split, layout, share[split], seed) for split in share}
    for split, file in found.items():
        _require_both_classes(split, len(file), file.positives)
    earlier = _earlier(trainer, layout, model)
    out.mkdir(parents=True, exist_ok=True)
    vocabulary, train_split = found["train"].learn_and_read(
        model.min_count,
        _most_rows(model, trainer),
        earlier.vocabulary if earlier else None,
        trainer.positive_weight,
        trainer.memory_rows,
        out,
    )
    spec = model_spec(model, vocabulary)
    splits = {"train": train_split, "valid": found["valid"].read(vocabulary, 1.0, trainer.memory_rows, out)}
    epoch_batches = math.ceil(len(splits["train"]) / trainer.batch_size)
    decay = trainer.learning_rate_decay
    schedule = Schedule(trainer.learning_rate, decay, decay.every or epoch_batches, last_batch(trainer, epoch_batches))
    adapter = frameworks.make_adapter(device, spec, trainer, schedule, vocabulary, len(splits["train"]), out, seed)
    if earlier is not None:
        _start_from(adapter, earlier, vocabulary)
    logit_shift = math.log(trainer.negative_share / trainer.positive_weight)

    def save(folder: Path, weights: dict[str, np.ndarray], step: int, epoch: float, metrics: dict[str, float]) -> None:
        state = TrainingState(step, epoch, seed, adapter.framework, adapter.device, metrics, _versions(), logit_shift)
        graph = trainer.save_graph_for_serving and folder.name == "best" and logit_shift == 0  # a graph has no place for the shift
        Checkpoint(spec, vocabulary, weights, state).save(folder, (lambda place: adapter.save_graph(place / GRAPH)) if graph else None)

    loop = Loop(
        adapter,
        splits["train"],
        splits["valid"],
        trainer,
        schedule,
        out,
        save,
        seed,
        progress or Progress.silent(),
        logit_shift=logit_shift,
        groups=None if trainer.overfit_batch else groups,
        fields=tuple(spec.fields[i].name for i in spec.field_of_column),
        title=title,
        watch=watch,
        snapshots=SnapshotFolder(out / UNFINISHED, _key(spec, vocabulary, trainer, splits, seed)) if trainer.resume else None,
    )
    report = loop.run()
    if adapter.is_main:
        files.write_text(out / REPORT, json.dumps(report.to_json(), indent=2) + "\n")
        if loop.snapshots is not None and not report.interrupted:
            loop.snapshots.remove()
    return report


def finished(out: Path) -> TrainReport | None:
    """The report of a training that ran to its end in `out`."""
    if not (out / REPORT).is_file():
        return None
    report = TrainReport.from_json(json.loads((out / REPORT).read_text(encoding="utf-8")), out)
    return None if report.interrupted else report


def model_spec(model: ModelConfig, vocabulary: Vocabulary) -> ModelSpec:
    """The model for a vocabulary.

    Raises:
        ConfigError: a gate names what is no field, or the heads do not fit.
    """
    fields = tuple(
        FieldSpec(name, encoding, int(rows), slots)
        for name, encoding, rows, slots in zip(vocabulary.names, vocabulary.encodings, vocabulary.sizes, vocabulary.slots, strict=True)
    )
    last = [(units or model.dnn)[-1:] for units in (model.dnn, model.second_dnn)]
    if model.name == "finalmlp" and any(units and units[0] % model.heads for units in last):
        raise ConfigError(f"{model.heads} heads do not divide the last layers, {last[0]} and {last[1]} units.", where="model.heads")
    first, second = (_positions(names(part), vocabulary.names) for part in (model.gates.first, model.gates.second))
    return ModelSpec(
        model.name,
        fields,
        0 if model.name == "lr" else model.embedding_dim,
        tuple(model.dnn),
        model.dropout,
        model.cross_layers,
        tuple(model.second_dnn),
        model.heads,
        (first, second),
    )


def _positions(wanted: list[str], fields: tuple[str, ...]) -> tuple[int, ...]:
    for name in wanted:
        if name not in fields:
            raise ConfigError(f"there is no field {name!r}.", where="model.gates", hint=nearest(name, fields))
    return tuple(fields.index(name) for name in wanted)


def _groups(trainer: TrainerConfig, evaluate: EvaluateConfig, samples: Path, layout: Layout) -> np.ndarray | None:
    """Of the validation rows, where gauc is asked for."""
    if evaluate.gauc_by is not None:
        return read_groups(samples, "valid", kept_column(layout, evaluate.gauc_by, "evaluate.gauc_by"))
    if "gauc" in monitored_metrics(trainer.early_stop.monitor):
        raise ConfigError("gauc needs groups.", where="trainer.early_stop.monitor", hint="Set evaluate.gauc_by, as in user_id.")
    return None


def _most_rows(model: ModelConfig, trainer: TrainerConfig) -> int | None:
    """Rows of the table that model.max_table_mb has room for, float32 with the optimizer's state."""
    if model.max_table_mb is None:
        return None
    width = 1 if model.name == "lr" else model.embedding_dim + 1
    return model.max_table_mb * 2**20 // (4 * width * (1 + STATES[trainer.optimizer]))


def _earlier(trainer: TrainerConfig, layout: Layout, model: ModelConfig) -> Checkpoint | None:
    if trainer.start_from is None:
        return None
    earlier = Checkpoint.load(Path(trainer.start_from))
    theirs, ours = (earlier.vocabulary.names, earlier.vocabulary.encodings), (layout.names, layout.encodings)
    if theirs != ours or earlier.model.name != model.name:
        raise StageError(f"{trainer.start_from} is a {earlier.model.name} of other fields than these.", where="trainer.start_from")
    return earlier


def _start_from(adapter: Adapter, earlier: Checkpoint, vocabulary: Vocabulary) -> None:
    """Gives the adapter an earlier model's weights; rows that it does not have keep their initial ones."""
    weights = adapter.weights()
    for name, array in weights.items():
        if name != EMBEDDING and earlier.weights[name].shape != array.shape:
            raise StageError(f"{name} of the earlier model has another shape.", where="trainer.start_from", hint="Keep model's sizes.")
    rows = vocabulary.rows_in(earlier.vocabulary)
    known = rows >= 0
    table = weights[EMBEDDING].copy()
    table[known] = earlier.weights[EMBEDDING][rows[known]]
    adapter.load({**earlier.weights, EMBEDDING: table})


def _key(spec: ModelSpec, vocabulary: Vocabulary, trainer: TrainerConfig, splits: dict[str, Split], seed: int) -> str:
    """Of all that decides the weights: another one is another training."""
    free = msgspec.structs.replace(with_start_by_content(trainer), resume_interval=None, profile=None, loss_print_interval=1)
    samples = [part.tobytes() for split in splits.values() for part in (split.rows[:1000], split.labels)]
    return training_key(msgspec.json.encode([spec, free, seed]), vocabulary.flat().tobytes(), *samples)


def _require_both_classes(split: str, count: int, positives: int) -> None:
    if 0 < positives < count:
        return
    what = "no rows" if not count else f"{count:,} rows, {positives:,} of them positive"
    raise TrainingError(
        f"The {split} split has {what}: training needs both classes in it.",
        where="preprocess.split",
        hint="Give it a larger share, or look at features.label.",
    )


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in ("jdrec", "numpy")}

"""What a training needs of a GPU's memory, and what to do when that is more than there is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from jdrec.config import TrainerConfig
from jdrec.errors import TrainingError
from jdrec.models import ModelSpec
from jdrec.training.torch_cuda.hot_rows import rows_on_gpu
from jdrec.training.torch_cuda.layout import RowLayout
from jdrec.training.torch_cuda.processes import Processes
from jdrec.training.torch_cuda.sharded import capacity


def share_of_batch(batch_size: int, processes: Processes) -> int:
    """Samples a step of each process.

    Raises:
        TrainingError: the batch cannot be shared equally.
    """
    if batch_size % processes.count:
        raise TrainingError(f"A batch of {batch_size} cannot be shared equally by {processes.count} processes.", where="trainer.batch_size")
    return batch_size // processes.count


def needs(spec: ModelSpec, config: TrainerConfig, processes: int) -> dict[str, int]:
    """Bytes on each GPU, largest first."""
    layout, batch = RowLayout(spec.embedding_dim), config.batch_size // processes
    rows, fields = -(-spec.rows // processes), len(spec.fields)
    widths = (fields * spec.embedding_dim, *spec.dnn)
    number = 2 if config.amp == "bf16" else 4
    weights = sum((width + 8) * units for width, units in zip(widths, (*spec.dnn, 1), strict=True))
    entries = batch * fields * 4 if processes == 1 else processes * capacity(spec, batch, processes) * (8 + 2 * number)
    hot = rows_on_gpu(spec, config, processes)
    which = "rows" if hot == rows else "most frequent rows"
    result = {
        f"the table's {hot:,} {which} of {spec.embedding_dim + 1} weights and their moments": hot * layout.floats * 4,
        "a number a row, to find the rows of a batch": 4 * (rows if processes == 1 else rows + spec.rows),
        f"activations and their gradients at {batch:,} samples": 2 * batch * sum(widths) * number,
        f"gradients of the rows of {batch:,} samples": entries * layout.gradient_floats,
        "the network's weights, moments and gradients": weights * (12 + 2 * number),
    }
    if hot < rows:
        result["a number a row, to find those that are in host memory"] = 4 * rows
    return dict(sorted(result.items(), key=lambda item: -item[1]))


@contextmanager
def telling_what_needs_memory(spec: ModelSpec, config: TrainerConfig, processes: Processes) -> Iterator[None]:
    """Turns an out-of-memory error inside into one that says what needs how much, and which key to turn."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        total = torch.cuda.get_device_properties(processes.device).total_memory if processes.device.type == "cuda" else 0
        raise out_of_memory(spec, config, processes.count, total) from error


def out_of_memory(spec: ModelSpec, config: TrainerConfig, processes: int, total: int) -> TrainingError:
    """The error, on GPUs of `total` bytes."""
    parts = needs(spec, config, processes)
    listed = "; ".join(f"{size / 2**30:.1f} GiB for {what}" for what, size in parts.items())
    message = f"The GPU's memory of {total / 2**30:.1f} GiB does not suffice. This training needs {listed}."
    if next(iter(parts)).startswith("the table"):
        hint = (
            f"Spread the table over more GPUs (trainer.devices_per_node, now {processes}), keep the most frequent rows alone on the GPU "
            f"(trainer.table_gpu_mb, now {config.table_gpu_mb or 'all'}), or make it smaller: "
            "model.max_table_mb and model.min_count leave out the rarest ids, model.embedding_dim shortens the rows."
        )
        return TrainingError(message, where="trainer.devices_per_node", hint=hint)
    return TrainingError(message, where="trainer.batch_size", hint="Lower trainer.batch_size, or set trainer.amp=bf16.")

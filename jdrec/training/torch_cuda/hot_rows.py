"""How much of the table lies on the GPU, and which rows."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from jdrec.config import TrainerConfig
from jdrec.models import ModelSpec
from jdrec.training.torch_cuda import storage
from jdrec.training.torch_cuda.cached import CachedTable
from jdrec.training.torch_cuda.layout import RowLayout
from jdrec.training.torch_cuda.processes import Processes
from jdrec.training.torch_cuda.table import Table

if TYPE_CHECKING:
    from jdrec.training.vocabulary import Vocabulary

log = logging.getLogger(__name__)


def rows_on_gpu(spec: ModelSpec, config: TrainerConfig, processes: int) -> int:
    """How many of a process's rows lie on its GPU."""
    rows = -(-spec.rows // processes)
    if config.table_gpu_mb is None:
        return rows
    return min(rows, max(1, config.table_gpu_mb * 2**20 // (4 * RowLayout(spec.embedding_dim).floats)))


def make_table(spec: ModelSpec, config: TrainerConfig, group: Processes, counts: np.ndarray | None) -> Table:
    """This process's part of the table.

    Args:
        spec: the model.
        config: the trainer's configuration.
        group: who takes part.
        counts: int64 [rows of the whole table], how often each occurs; only where not all rows lie on the GPU.

    Raises:
        TrainingError: host memory does not suffice.
    """
    layout, rows, hot = RowLayout(spec.embedding_dim), storage.local_rows(spec.rows, group), rows_on_gpu(spec, config, group.count)
    if hot == rows:
        return Table(rows, layout, group.device)
    assert counts is not None
    own = np.zeros(rows, np.int64)  # the last one may be unused
    mine = storage.own(counts, group)
    own[: len(mine)] = mine
    table = CachedTable(own, hot, layout, group.device)
    share = own[table.is_hot].sum() / max(own.sum(), 1)
    log.info("%s of %s rows of the table are on the GPU: those of %.1f %% of all occurrences", f"{hot:,}", f"{rows:,}", 100 * share)
    return table


def row_counts(vocabulary: Vocabulary, samples: int) -> np.ndarray:
    """How often each row of the table occurs in so many training samples, int64 [rows].

    A field's first row, that of unseen ids or of a number, counts as if every sample had it: there are few of them.
    """
    assert vocabulary.counts is not None
    return np.concatenate([np.concatenate(([samples], counts)) for counts in vocabulary.counts])

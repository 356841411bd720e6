"""What a training needs of a GPU's memory, and the message when that is too much."""

from __future__ import annotations

import pytest
import torch

from jdrec.errors import TrainingError
from jdrec.features.spec import Encoding
from jdrec.models import FieldSpec, ModelSpec
from jdrec.training.torch_cuda.memory import needs, out_of_memory, share_of_batch, telling_what_needs_memory
from jdrec.training.torch_cuda.processes import Processes
from tests.training.torch_cuda.test_fast import config

pytestmark = pytest.mark.torch


def spec(rows: int) -> ModelSpec:
    return ModelSpec("deepfm", (FieldSpec("user", Encoding.HASH, rows), FieldSpec("age", Encoding.HASH, 10)), 16, (100, 50), 0.0)


def test_the_table_is_what_needs_most_and_can_be_spread() -> None:
    error = out_of_memory(spec(999_999_990), config(batch_size=1000), 1, 80 * 2**30)
    assert str(error).startswith(
        "trainer.devices_per_node: The GPU's memory of 80.0 GiB does not suffice. This training needs "
        "193.7 GiB for the table's 1,000,000,000 rows of 17 weights and their moments; 3.7 GiB for a number a row, to find the rows of a batch; "
    )
    assert error.hint is not None and "(trainer.devices_per_node, now 1)" in error.hint and "model.max_table_mb" in error.hint
    halves = needs(spec(999_999_990), config(batch_size=1000), 2)
    assert halves["the table's 500,000,000 rows of 17 weights and their moments"] == 500_000_000 * 52 * 4


def test_a_batch_can_be_what_needs_most() -> None:
    error = out_of_memory(spec(1000), config(batch_size=1_000_000), 1, 80 * 2**30)
    assert error.where == "trainer.batch_size" and error.hint == "Lower trainer.batch_size, or set trainer.amp=bf16."


def test_an_allocation_that_fails_becomes_that_error() -> None:
    with pytest.raises(TrainingError, match="does not suffice"), telling_what_needs_memory(spec(1000), config(), Processes("cpu")):
        raise torch.OutOfMemoryError("CUDA out of memory.")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_table_too_large_for_the_gpu_is_refused() -> None:
    from jdrec.training.torch_cuda import make_adapter

    with pytest.raises(TrainingError, match=r"415.9 GiB for the table's 2,147,000,010 rows of 17 weights"):
        make_adapter(spec(2_147_000_000), config(), 0, "cuda")


def test_a_batch_must_be_shared_equally() -> None:
    group = Processes("cpu")
    group.count = 3
    assert share_of_batch(99, group) == 33
    with pytest.raises(TrainingError, match=r"trainer.batch_size: A batch of 100 cannot be shared equally by 3 processes"):
        share_of_batch(100, group)

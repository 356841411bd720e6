"""A batch in parts, and the table's threads: the same step as in one piece."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from jdrec.config import TrainerConfig
from jdrec.features.spec import Encoding
from jdrec.models import FieldSpec, ModelSpec
from jdrec.training import torch_library
from jdrec.training.data import Batch
from jdrec.training.host_adapter import HostAdapter
from jdrec.training.parts import LEAST, Parts

BATCH = 3 * LEAST + 5
FIELDS = tuple(FieldSpec(f"f{i}", Encoding.HASH, size) for i, size in enumerate((3, 40, 700)))


def batches(count: int) -> list[Batch]:
    random, offsets = np.random.default_rng(0), np.array([0, 3, 43])
    return [
        Batch(
            (random.integers(0, [3, 40, 700], (BATCH, 3)) + offsets).astype(np.int32),
            random.normal(size=(BATCH, 3)).astype(np.float32),
            (random.random(BATCH) < 0.3).astype(np.float32),
        )
        for _ in range(count)
    ]


@pytest.mark.torch
@pytest.mark.parametrize("name", ["deepfm", "finalmlp"])
def test_parts_train_as_the_whole(name: str) -> None:
    spec = ModelSpec(name, FIELDS, 8, (24, 12), 0.3)
    config = msgspec.convert({"framework": "torch", "batch_size": BATCH}, TrainerConfig)
    whole, parts = (
        HostAdapter(spec, msgspec.structs.replace(config, threads=threads), torch_library.torch_network, 5) for threads in (1, 3)
    )
    assert isinstance(parts.network, Parts) and not isinstance(whole.network, Parts)
    for batch in batches(4):
        assert parts.train_batch(batch, 1e-2) == pytest.approx(whole.train_batch(batch, 1e-2), rel=1e-6)
    small = Batch(batch.rows[:100], None, batch.labels[:100])
    assert parts.train_batch(small, 1e-2) == pytest.approx(whole.train_batch(small, 1e-2), rel=1e-6)
    for name, value in whole.weights().items():
        np.testing.assert_allclose(parts.weights()[name], value, atol=2e-5, err_msg=name)
    np.testing.assert_allclose(parts.logits(batch), whole.logits(batch), atol=1e-5)


@pytest.mark.torch
def test_a_seed_and_a_number_of_threads_repeat_a_training_bit_for_bit() -> None:
    config = msgspec.convert({"framework": "torch", "batch_size": BATCH, "threads": 3, "clip_norm": 0.1}, TrainerConfig)
    found = []
    for _ in range(2):
        adapter = HostAdapter(ModelSpec("deepfm", FIELDS, 8, (24, 12), 0.3), config, torch_library.torch_network, 5)
        found.append([adapter.train_batch(batch, 1e-2) for batch in batches(4)])
        found[-1] += [value.tobytes() for value in adapter.weights().values()]
    assert found[0] == found[1]

"""A small DeepFM with batches in which rows occur many times, once and never."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from jdrec.features.spec import Encoding
from jdrec.models import FieldSpec, ModelSpec
from jdrec.training.data import Batch

# Without the torch extra there is nothing to test here.
collect_ignore_glob = [] if importlib.util.find_spec("torch") else ["test_*.py"]

SIZES = (3, 50, 1000, 1)  # rows of the fields; the last one is numeric
BATCH = 32


@pytest.fixture
def spec() -> ModelSpec:
    return make_spec()


def make_spec() -> ModelSpec:
    fields = tuple(FieldSpec(f"f{i}", Encoding.NUMERIC if size == 1 else Encoding.HASH, size) for i, size in enumerate(SIZES))
    return ModelSpec("deepfm", fields, 6, (24, 12), 0.0)


def random_batches(count: int, batch: int = BATCH, seed: int = 0) -> list[Batch]:
    """Batches whose labels follow the first field and the numeric value."""
    random, offsets, batches = np.random.default_rng(seed), np.cumsum([0, *SIZES])[:-1], []
    for _ in range(count):
        rows = np.stack([random.integers(0, size, batch) + offset for size, offset in zip(SIZES, offsets, strict=True)], 1)
        value = random.normal(size=batch).astype(np.float32)
        scale = np.ones(rows.shape, np.float32)
        scale[:, -1] = value
        labels = (random.random(batch) < 1 / (1 + np.exp(2.0 - 2 * rows[:, 0] - value))).astype(np.float32)
        batches.append(Batch(rows.astype(np.int32), scale, labels))
    return batches

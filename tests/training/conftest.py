"""Samples with a known signal, written by hand in the format of the preprocess stage."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

FIELDS = [("I1", "price", "numeric"), ("C1", "brand", "hash"), ("C2", "user", "hash"), ("C3", "age", "bucket")]


def write_samples(folder: Path, rows: dict[str, int], seed: int = 0) -> Path:
    """The label follows brand and price; the user says nothing; age repeats brand's ids on purpose."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    brand_ids = random.integers(-(2**63), 2**63 - 1, 20)
    effect = np.random.default_rng(99).normal(0, 1.5, 20)
    for split, count in rows.items():
        brand, price = random.integers(0, 20, count), random.normal(size=count).astype(np.float32)
        logit = effect[brand] + price - 1
        columns = {
            "Label": (random.random(count) < 1 / (1 + np.exp(-logit))).astype(np.float32),
            "I1": price,
            "C1": brand_ids[brand],
            "C2": random.integers(0, 50, count) * 7919,
            "C3": brand_ids[random.integers(0, 4, count)],
        }
        pq.write_table(pa.table(columns), folder / f"{split}.parquet")
    fields = [{"name": name, "column": column, "encoding": encoding} for column, name, encoding in FIELDS]
    (folder / "data_info.json").write_text(json.dumps({"label": "Label", "fields": fields}))
    return folder


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_samples(tmp_path_factory.mktemp("samples"), {"train": 3000, "valid": 700, "test": 700})

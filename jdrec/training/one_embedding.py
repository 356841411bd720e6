"""OneEmbedding's options, from the configuration. Plain calls of the documented functions of oneflow.one_embedding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jdrec.config import OneEmbeddingConfig
from jdrec.files import write_text
from jdrec.models import ModelSpec
from jdrec.models.initial import EMBEDDING_STD

OPTIONS_FILE = "one_embedding_options.json"  # beside a saved graph: what Triton's oneflow backend opens the table by


def store_options(one_embedding: Any, config: OneEmbeddingConfig, persistent: Path, capacity: int) -> dict[str, Any]:
    """Where the table lives.

    Args:
        one_embedding: the module oneflow.one_embedding.
        config: trainer.one_embedding.
        persistent: absolute folder of the persistent table.
        capacity: rows.
    """
    common = {"persistent_path": str(persistent), "capacity": capacity, "size_factor": config.size_factor}
    if config.store == "device_mem":
        return one_embedding.make_device_mem_store_options(**common)
    if config.store == "cached_host_mem":
        return one_embedding.make_cached_host_mem_store_options(cache_budget_mb=config.cache_memory_mb, **common)
    return one_embedding.make_cached_ssd_store_options(cache_budget_mb=config.cache_memory_mb, **common)


def table_options(one_embedding: Any, fields: int) -> list[dict[str, Any]]:
    """A table a field, each with two columns: the vector and the weight of the linear term, normal(0, 1e-4)."""

    def column() -> dict[str, Any]:
        return one_embedding.make_column_options(one_embedding.make_normal_initializer(mean=0.0, std=EMBEDDING_STD))

    return [one_embedding.make_table_options([column(), column()]) for _ in range(fields)]


def make_one_embedding(flow: Any, spec: ModelSpec, config: OneEmbeddingConfig, persistent: Path, seed: int) -> Any:
    """The embedding: int64 ids [n, fields] -> float32 [n, fields, dim + 1].

    Ids are the 64-bit hashes themselves. OneEmbedding keys rows by id alone, so one hash in two fields is one row here; salted ids, the
    default encoding, cannot meet that way.
    """
    return flow.one_embedding.MultiTableMultiColumnEmbedding(
        name="jdrec",
        embedding_dim=[spec.embedding_dim, 1],
        dtype=flow.float,
        key_type=flow.int64,
        tables=table_options(flow.one_embedding, len(spec.fields)),
        store_options=store_options(flow.one_embedding, config, persistent, spec.rows),
        seed=seed,
    )


def relocate(options_file: Path, persistent: Path) -> None:
    """Points a saved graph at where the persistent table lies for the server that loads it.

    Args:
        options_file: one_embedding_options.json of the saved graph; rewritten in place.
        persistent: folder of the persistent table as the server sees it, absolute.
    """
    options = json.loads(options_file.read_text())
    for embedding in options["embedding"]:
        embedding["kv_options"]["kv_store"]["persistent_table"]["path"] = str(persistent)
    write_text(options_file, json.dumps(options, indent=4) + "\n")

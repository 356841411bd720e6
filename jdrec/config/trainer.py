"""Configuration of the training loop."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from jdrec.config.base import PositiveInt, Section


class EarlyStopConfig(Section, frozen=True, kw_only=True):
    enabled: Annotated[bool, Meta(description="Stop when the monitored metric no longer improves.")] = True
    monitor: Annotated[
        Literal["auc", "logloss", "auc - logloss"],
        Meta(description="Validation metric; auc and auc - logloss are maximised, logloss is minimised."),
    ] = "auc - logloss"
    patience: Annotated[int, Meta(ge=1, description="Evaluations without improvement before stopping.")] = 2
    min_delta: Annotated[float, Meta(ge=0, description="Least improvement that counts.")] = 1e-4


class LearningRateDecayConfig(Section, frozen=True, kw_only=True):
    factor: Annotated[float, Meta(gt=0, le=1, description="The rate is multiplied by this at the end of each epoch ...")] = 1.0
    min: Annotated[float, Meta(gt=0, description="... until it has reached this rate. A factor of 1 keeps the rate constant.")] = 1e-6


class OneEmbeddingConfig(Section, frozen=True, kw_only=True):
    store: Annotated[Literal["device_mem", "cached_host_mem", "cached_ssd"], Meta(description="Where OneEmbedding keeps the table.")] = (
        "cached_host_mem"
    )
    cache_memory_mb: Annotated[int, Meta(ge=1, description="Cache budget on each device, MiB.")] = 1024
    persistent_path: Annotated[
        str | None, Meta(description="Folder of the persistent table; persistent/ in the run folder by default.")
    ] = None
    size_factor: Annotated[int, Meta(ge=1, description="Values stored per weight: 3 for Adam (weight and two moments).")] = 3


class TrainerConfig(Section, frozen=True, kw_only=True):
    framework: Annotated[Literal["oneflow"], Meta(description="Framework that trains.")] = "oneflow"
    device: Annotated[Literal["auto", "cpu", "cuda"], Meta(description="auto: a CUDA GPU that the framework supports, else the CPU.")] = (
        "auto"
    )
    devices_per_node: Annotated[int, Meta(ge=1, description="GPUs (processes) a node.")] = 1
    threads: Annotated[int, Meta(ge=0, description="CPU threads; 0: all cores.")] = 0
    embedding_updates: Annotated[
        Literal["lazy", "dense"],
        Meta(description="On the CPU: lazy: Adam updates the batch's rows of the table only, as OneEmbedding does; dense: all rows."),
    ] = "lazy"
    batch_size: Annotated[int, Meta(ge=1, description="Rows a batch, training and evaluation.")] = 1000
    train_batches: Annotated[int, Meta(ge=1, description="Most training batches.")] = 75_000
    learning_rate: Annotated[float, Meta(gt=0, description="Adam's learning rate.")] = 1e-3
    learning_rate_decay: LearningRateDecayConfig = LearningRateDecayConfig()
    loss_print_interval: Annotated[int, Meta(ge=1, description="Batches between two lines of training loss.")] = 100
    eval_interval: Annotated[PositiveInt | None, Meta(description="Batches between two evaluations; an epoch by default.")] = None
    early_stop: EarlyStopConfig = EarlyStopConfig()
    save_best: Annotated[bool, Meta(description="Keep the best evaluation's weights for test, export and serving, not the last ones.")] = (
        True
    )
    save_after_each_eval: Annotated[bool, Meta(description="Keep a checkpoint of every evaluation.")] = False
    save_initial: Annotated[bool, Meta(description="Keep a checkpoint of the untrained model.")] = False
    save_graph_for_serving: Annotated[
        bool, Meta(description="On a GPU: save OneFlow's graph and OneEmbedding's description for the oneflow Triton backend.")
    ] = True
    amp: Annotated[bool, Meta(description="Automatic mixed precision, on a GPU.")] = False
    loss_scale: Annotated[Literal["static", "dynamic"], Meta(description="Loss scaling under amp.")] = "static"
    fused_mlp: Annotated[bool, Meta(description="OneFlow's FusedMLP for the hidden layers, on a GPU.")] = False
    one_embedding: OneEmbeddingConfig = OneEmbeddingConfig()

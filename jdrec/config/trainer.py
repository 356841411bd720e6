"""Configuration of the training loop."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from jdrec.config.base import PositiveInt, Section
from jdrec.errors import nearest

METRICS = ("auc", "logloss", "gauc", "pr_auc", "ece", "predicted_observed")


class EarlyStopConfig(Section, frozen=True, kw_only=True):
    enabled: Annotated[bool, Meta(description="Stop when the monitored metric no longer improves.")] = True
    monitor: Annotated[
        str,
        Meta(
            description="Validation metric: auc, logloss, gauc, pr_auc, ece, predicted_observed, or a difference of two, as in auc - logloss. "
            "The higher the better, but for logloss, ece (the lower) and predicted_observed (the nearer to 1)."
        ),
    ] = "auc - logloss"
    patience: Annotated[int, Meta(ge=1, description="Evaluations without improvement before stopping.")] = 2
    min_delta: Annotated[float, Meta(ge=0, description="Least improvement that counts.")] = 1e-4

    def __post_init__(self) -> None:
        names = [name.strip() for name in self.monitor.split(" - ")]
        if len(names) > 2:
            raise ValueError("monitor: a difference has two metrics, as in auc - logloss")
        for name in names:
            if name not in METRICS:
                raise ValueError(f"monitor: there is no metric {name!r}. {nearest(name, METRICS)}")


class LearningRateDecayConfig(Section, frozen=True, kw_only=True):
    kind: Annotated[
        Literal["step", "cosine", "plateau"],
        Meta(
            description="step: times factor after every `every` batches; cosine: half a cosine down to min at train_batches; "
            "plateau: times factor after `patience` evaluations without improvement."
        ),
    ] = "step"
    factor: Annotated[float, Meta(gt=0, le=1, description="Of step and plateau. A factor of 1 keeps the rate constant.")] = 1.0
    every: Annotated[PositiveInt | None, Meta(description="Of step: batches; an epoch by default.")] = None
    patience: Annotated[int, Meta(ge=1, description="Of plateau: evaluations without improvement.")] = 1
    min: Annotated[float, Meta(gt=0, description="The rate is not lowered below this.")] = 1e-6
    warmup: Annotated[int, Meta(ge=0, description="Batches over which the rate rises in a line from near 0, before all else.")] = 0


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
    framework: Annotated[Literal["oneflow", "torch"], Meta(description="Framework that trains.")] = "oneflow"
    device: Annotated[Literal["auto", "cpu", "cuda"], Meta(description="auto: a CUDA GPU that the framework supports, else the CPU.")] = (
        "auto"
    )
    devices_per_node: Annotated[int, Meta(ge=1, description="GPUs (processes) a node.")] = 1
    threads: Annotated[int, Meta(ge=0, description="CPU threads; 0: all cores.")] = 0
    optimizer: Annotated[Literal["adam", "adamw", "adagrad", "sgd"], Meta(description="Of all weights.")] = "adam"
    embedding_updates: Annotated[
        Literal["lazy", "dense"],
        Meta(description="lazy: the optimizer updates the batch's rows of the table only, as OneEmbedding does; dense: all rows."),
    ] = "lazy"
    weight_decay: Annotated[float, Meta(ge=0, description="Of the network's weights: L2, with adamw decoupled.")] = 0.0
    embedding_weight_decay: Annotated[float, Meta(ge=0, description="Of the table's rows; with lazy updates of those in the batch.")] = 0.0
    clip_norm: Annotated[
        Annotated[float, Meta(gt=0)] | None, Meta(description="Largest norm of all gradients together; larger ones are scaled down.")
    ] = None
    batch_size: Annotated[int, Meta(ge=1, description="Rows a batch, training and evaluation.")] = 1000
    memory_rows: Annotated[
        int,
        Meta(
            ge=1000,
            description="Samples of a split that are held in memory, 4 bytes a column each. A larger split is held on disk beside the checkpoints "
            "while training lasts, and half as many samples mix when it is shuffled.",
        ),
    ] = 20_000_000
    train_batches: Annotated[int, Meta(ge=1, description="Most training batches.")] = 75_000
    epochs: Annotated[PositiveInt | None, Meta(description="Most passes over the training split, in whole batches.")] = None
    learning_rate: Annotated[float, Meta(gt=0, description="The optimizer's learning rate.")] = 1e-3
    learning_rate_decay: LearningRateDecayConfig = LearningRateDecayConfig()
    positive_weight: Annotated[
        float, Meta(gt=0, description="Weight of positive samples in the loss, negatives having 1; probabilities are put right afterwards.")
    ] = 1.0
    negative_share: Annotated[
        float, Meta(gt=0, le=1, description="Share of negative samples to train on, drawn once; probabilities are put right afterwards.")
    ] = 1.0
    loss_print_interval: Annotated[int, Meta(ge=1, description="Batches between two lines of training loss.")] = 100
    eval_interval: Annotated[PositiveInt | None, Meta(description="Batches between two evaluations; an epoch by default.")] = None
    early_stop: EarlyStopConfig = EarlyStopConfig()
    resume: Annotated[bool, Meta(description="Go on where an earlier training with the same configuration and samples was killed.")] = True
    resume_interval: Annotated[
        PositiveInt | None, Meta(description="Batches between two saves of the state to resume from; an evaluation by default.")
    ] = None
    save_best: Annotated[bool, Meta(description="Keep the best evaluation's weights for test, export and serving, not the last ones.")] = (
        True
    )
    save_after_each_eval: Annotated[bool, Meta(description="Keep a checkpoint of every evaluation.")] = False
    keep_last: Annotated[PositiveInt | None, Meta(description="How many of those to keep, the newest; all by default.")] = None
    save_initial: Annotated[bool, Meta(description="Keep a checkpoint of the untrained model.")] = False
    start_from: Annotated[
        str | None,
        Meta(description="Checkpoint folder of an earlier model to go on from; ids that it does not know get rows beside its own."),
    ] = None
    save_graph_for_serving: Annotated[
        bool, Meta(description="On a GPU: save OneFlow's graph and OneEmbedding's description for the oneflow Triton backend.")
    ] = True
    amp: Annotated[
        Literal["none", "bf16", "fp16"],
        Meta(description="Automatic mixed precision. OneFlow has fp16 on a GPU; PyTorch has both, bf16 on the CPU too."),
    ] = "none"
    loss_scale: Annotated[Literal["static", "dynamic"], Meta(description="Loss scaling under fp16.")] = "static"
    table_gpu_mb: Annotated[
        PositiveInt | None,
        Meta(
            description="PyTorch on a GPU: MiB of it for the table. The rows that occur most lie there, the others in host memory; by default all lie on the GPU."
        ),
    ] = None
    fused_mlp: Annotated[bool, Meta(description="OneFlow's FusedMLP for the hidden layers, on a GPU.")] = False
    overfit_batch: Annotated[
        bool, Meta(description="Train on the first batch alone, over and over: a model whose loss does not vanish then has a mistake.")
    ] = False
    profile: Annotated[
        PositiveInt | None, Meta(description="Write trace.json of so many batches, after ten; Perfetto and chrome://tracing open it.")
    ] = None
    one_embedding: OneEmbeddingConfig = OneEmbeddingConfig()

"""Configuration of Triton and the prediction service."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from jdrec.config.base import Section


class DynamicBatchingConfig(Section, frozen=True, kw_only=True):
    preferred_batch_sizes: Annotated[list[int], Meta(description="Batch sizes that Triton tries to form.")] = field(default_factory=list)
    max_queue_delay_us: Annotated[int, Meta(ge=0, description="How long a request may wait for company, microseconds.")] = 0


class TritonConfig(Section, frozen=True, kw_only=True):
    model: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", description="Name of the model in Triton, and of its folder.")] = (
        "embedding"
    )
    version: Annotated[int, Meta(ge=1, description="Version folder in the model repository.")] = 1
    backend: Annotated[
        Literal["oneflow", "python"], Meta(description="oneflow: the tutorial's GPU backend; python: scores on the CPU anywhere.")
    ] = "python"
    max_batch_size: Annotated[int, Meta(ge=1, description="Most rows a call.")] = 10_000
    instance_kind: Annotated[Literal["KIND_GPU", "KIND_CPU"], Meta(description="Where instances run.")] = "KIND_CPU"
    instance_count: Annotated[int, Meta(ge=1, description="Instances.")] = 1
    gpus: Annotated[list[int], Meta(description="GPUs of a KIND_GPU instance group.")] = field(default_factory=list)
    dynamic_batching: Annotated[DynamicBatchingConfig | None, Meta(description="Let Triton batch across requests.")] = None
    persistent_table_path: Annotated[
        str | None, Meta(description="Backend oneflow: folder of OneEmbedding's table as Triton sees it, e.g. /models/persistent/0-1.")
    ] = None
    http_port: Annotated[int, Meta(ge=0, le=65535, description="Triton's HTTP port; 0 picks a free one.")] = 8000
    start_timeout_s: Annotated[float, Meta(gt=0, description="Longest wait for a started Triton to be ready.")] = 60.0
    url: Annotated[str | None, Meta(description="host:port of a running Triton to use instead of starting one.")] = None


class ServingConfig(Section, frozen=True, kw_only=True):
    host: Annotated[str, Meta(description="Address that the prediction service binds.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Its port; 0 picks a free one.")] = 8887
    features: Annotated[
        Literal["embedded", "openmldb"],
        Meta(description="Where request features are computed: from the loaded tables, or by an OpenMLDB APIServer."),
    ] = "embedded"
    store_requests: Annotated[bool, Meta(description="Keep each scored request, so that windows over the request table see it later.")] = (
        False
    )
    max_rows: Annotated[int, Meta(ge=1, description="Most rows in one call.")] = 1000
    max_body_bytes: Annotated[int, Meta(ge=1, description="Largest request body.")] = 1 << 20
    timeout_s: Annotated[float, Meta(gt=0, description="Longest wait for Triton or the APIServer.")] = 5.0
    triton: TritonConfig = TritonConfig()

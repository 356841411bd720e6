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


class BatchingConfig(Section, frozen=True, kw_only=True):
    max_rows: Annotated[int, Meta(ge=1, description="Most rows that go through features, encoding and Triton together.")] = 256
    max_delay_ms: Annotated[
        float, Meta(ge=0, le=1000, description="How long a request waits for company when nothing else keeps it waiting, milliseconds.")
    ] = 0.0
    in_flight: Annotated[
        int, Meta(ge=1, description="Batches on their way at once: while one is in Triton, the next gets its features.")
    ] = 2
    max_queued_rows: Annotated[int, Meta(ge=1, description="Rows that may wait; beyond them a call is answered 429.")] = 4000


class CandidatesConfig(Section, frozen=True, kw_only=True):
    column: Annotated[
        str | None, Meta(description="Request column that a candidate fills, so that it can be given as a plain value (JD: sku_id).")
    ] = None
    derive: Annotated[
        dict[str, str],
        Meta(description='Request columns made of others for each candidate, e.g. pair_id: "{user_id}_{sku_id}".'),
    ] = field(default_factory=dict)
    top: Annotated[int, Meta(ge=1, description="How many are answered where the call does not say.")] = 10


class RequestLogConfig(Section, frozen=True, kw_only=True):
    dir: Annotated[
        str | None, Meta(description="Folder for Parquet files of scored requests with their features, ids and scores; null: none.")
    ] = None
    rows_per_file: Annotated[int, Meta(ge=1, description="A file is closed after so many rows.")] = 100_000
    seconds_per_file: Annotated[float, Meta(gt=0, description="A file is closed after so long.")] = 300.0
    max_files: Annotated[int, Meta(ge=1, description="The oldest files beyond so many are removed.")] = 100
    max_waiting_rows: Annotated[
        int, Meta(ge=1, description="Rows that may wait to be written; more are left out and counted in jdrec_request_log_dropped_rows.")
    ] = 20_000


class AccessLogConfig(Section, frozen=True, kw_only=True):
    file: Annotated[
        str | None,
        Meta(description="File of one JSON object a line and call, in the run folder unless absolute; null: none; '-': standard error."),
    ] = "service.jsonl"
    max_bytes: Annotated[int, Meta(ge=1000, description="The file is rotated at this size.")] = 64 << 20
    backups: Annotated[int, Meta(ge=1, description="Rotated files that are kept.")] = 3


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
    max_calls: Annotated[int, Meta(ge=1, description="Calls that may be open at once; beyond them a call is answered 429.")] = 1000
    max_connections: Annotated[int, Meta(ge=1, description="Connections that may be open at once; more are closed at once.")] = 2000
    timeout_s: Annotated[
        float,
        Meta(gt=0, description="Longest wait for the head of a call, for its body, for its scores, for Triton and for the APIServer."),
    ] = 5.0
    api_key_env: Annotated[
        str | None, Meta(description="Environment variable with the key that callers must send (Authorization: Bearer KEY); null: none.")
    ] = None
    repository: Annotated[
        str | None,
        Meta(description="Folder of published models, several versions side by side (task=publish); null: triton/ of the run."),
    ] = None
    pin: Annotated[
        Annotated[str, Meta(pattern=r"^[^/]+/[1-9][0-9]*$")] | None,
        Meta(description="task=reload: MODEL/VERSION to make the default; null: the default model's newest."),
    ] = None
    batching: BatchingConfig = BatchingConfig()
    candidates: CandidatesConfig = CandidatesConfig()
    access_log: AccessLogConfig = AccessLogConfig()
    request_log: RequestLogConfig = RequestLogConfig()
    triton: TritonConfig = TritonConfig()

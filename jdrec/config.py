"""The typed, strict schema of all configuration; every key has its type, its default and a description.

`docs/reference.md` is generated from it. Hydra composes the YAML; `load` turns the result into a `Config` or one clear error.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from jdrec.features.spec import Encoding, Kind
from jdrec.features.types import SqlType


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """A mapping in the YAML. Unknown keys are errors; values do not change after loading."""


PositiveInt = Annotated[int, Meta(ge=1)]
Names = str | list[str]  # one name or several; `names` makes a list of it


def names(value: str | list[str]) -> list[str]:
    """A list, whether one name or several were written."""
    return [value] if isinstance(value, str) else list(value)


# --- dataset -----------------------------------------------------------------------------------------------------------


class TableConfig(Section, frozen=True, kw_only=True):
    path: Annotated[str, Meta(description="Parquet or CSV: a file, a folder or a glob, relative to dataset.root.")]
    time: Annotated[str | None, Meta(description="The column that orders the rows: a timestamp, or a bigint of milliseconds.")] = None
    columns: Annotated[dict[str, SqlType], Meta(description="Column name to OpenMLDB type, in the table's order.")]


class JdGeneratorConfig(Section, frozen=True, kw_only=True, tag_field="generator", tag="jd"):
    """Tables of the JD schema."""

    users: Annotated[int, Meta(ge=1, le=1_000_000_000, description="Number of users.")] = 2_000
    products: Annotated[int, Meta(ge=1, le=1_000_000_000, description="Number of products.")] = 500
    actions: Annotated[int, Meta(ge=0, description="Rows of bo_action.")] = 100_000
    requests: Annotated[int, Meta(ge=1, description="Rows of flattenRequest, and of action.")] = 20_000
    days: Annotated[int, Meta(ge=1, le=10_000, description="Length of the generated period in days; it starts on 2016-02-01.")] = 75
    label_rate: Annotated[float, Meta(gt=0, lt=1, description="Share of positive labels that is aimed at.")] = 0.11
    shuffle: Annotated[bool, Meta(description="Write rows in random order instead of time order.")] = False
    seed: Annotated[int, Meta(ge=0, description="Seed of the generator.")] = 2016


class AdGeneratorConfig(Section, frozen=True, kw_only=True, tag_field="generator", tag="ads"):
    """Ad clicks."""

    users: Annotated[int, Meta(ge=1, le=1_000_000_000, description="Number of users.")] = 2_000
    ads: Annotated[int, Meta(ge=1, le=1_000_000_000, description="Number of ads.")] = 300
    visits: Annotated[int, Meta(ge=0, description="Rows of visit: pages that users read.")] = 100_000
    requests: Annotated[int, Meta(ge=1, description="Rows of impression: ads that users are shown.")] = 20_000
    days: Annotated[int, Meta(ge=1, le=10_000, description="Length of the generated period in days; it starts on 2024-03-04.")] = 30
    label_rate: Annotated[float, Meta(gt=0, lt=1, description="Share of clicked impressions that is aimed at.")] = 0.12
    shuffle: Annotated[bool, Meta(description="Write rows in random order instead of time order.")] = False
    seed: Annotated[int, Meta(ge=0, description="Seed of the generator.")] = 2024


GeneratorConfig = JdGeneratorConfig | AdGeneratorConfig


class DatasetConfig(Section, frozen=True, kw_only=True):
    root: Annotated[str, Meta(description="Folder that holds the tables.")]
    database: Annotated[str, Meta(description="Name of the OpenMLDB database.")]
    timezone: Annotated[
        str,
        Meta(
            description="Zone of times that have none, in CSV files and in label.observed_until. Calendar functions count in UTC+8, as OpenMLDB's."
        ),
    ] = "Asia/Shanghai"
    tables: Annotated[dict[str, TableConfig], Meta(description="The tables, in the order in which they are created and loaded.")]
    generate: Annotated[
        GeneratorConfig | None,
        Meta(
            description="Generate the tables into root when they are missing or were made with other settings; generator says which tables."
        ),
    ] = None


# --- features ----------------------------------------------------------------------------------------------------------


class RequestConfig(Section, frozen=True, kw_only=True):
    table: Annotated[str, Meta(description="The table with one row a prediction request.")]
    key: Annotated[str, Meta(description="Its column that names a request; unique.")]
    time: Annotated[str, Meta(description="Its time column.")]


class LabelConfig(Section, frozen=True, kw_only=True):
    feature: Annotated[str, Meta(description="The feature that is the label.")]
    horizon: Annotated[
        str | None,
        Meta(
            description="How long after the request the label is still open, e.g. 5d. Requests whose horizon is not over by observed_until are left out of the samples."
        ),
    ] = None
    observed_until: Annotated[str | None, Meta(description="Last observed moment: table.column (its maximum) or an ISO time.")] = None


class JoinConfig(Section, frozen=True, kw_only=True):
    last_join: Annotated[str, Meta(description="The table to join.")]
    on: Annotated[
        str | dict[str, str] | list[str],
        Meta(
            description="A column of both tables, several, or a mapping of request column to joined column; join.column is one of an earlier join."
        ),
    ]
    order_by: Annotated[str | None, Meta(description="Take the row with the largest value of this column.")] = None
    where: Annotated[
        str | None,
        Meta(
            description="A condition that the row has to fulfil besides; names are the joined table's, or qualified: request_table.column."
        ),
    ] = None


Exclude = Literal["instances", "current_row", "current_time"]


class WindowConfig(Section, frozen=True, kw_only=True):
    partition_by: Annotated[
        str | list[str] | dict[str, str],
        Meta(description="Key columns; a mapping where the union table's column has another name: {union column: request column}."),
    ]
    union: Annotated[
        Names, Meta(description="Table, or tables, whose rows are merged into the window, by the columns that they share.")
    ] = field(default_factory=list)
    request_row: Annotated[
        dict[str, str],
        Meta(description="What else the request has as a row of the union, as {union column: request column}; '' and 0 by default."),
    ] = field(default_factory=dict)
    order_by: Annotated[str | None, Meta(description="Time column of the windowed rows; the table's own time column by default.")] = None
    rows: Annotated[int | str | None, Meta(description="ROWS frame: how many rows back it starts, e.g. 10, '10 open' or unbounded.")] = None
    range: Annotated[
        int | str | None,
        Meta(description="ROWS_RANGE frame: how far back it starts, e.g. 14d, 10h, '7d open', unbounded; a bare number is milliseconds."),
    ] = None
    end: Annotated[
        int | str | None,
        Meta(description="Where the frame ends: 0 (the request's own moment) by default; e.g. 1, 1s, or '0s open' for strictly before."),
    ] = None
    max_size: Annotated[PositiveInt | None, Meta(description="MAXSIZE: keep only so many of the newest rows.")] = None
    exclude: Annotated[Exclude | list[Exclude], Meta(description="instances (INSTANCE_NOT_IN_WINDOW), current_row, current_time.")] = field(
        default_factory=list
    )


class FeatureConfig(Section, frozen=True, kw_only=True):
    expr: Annotated[str | None, Meta(description="OpenMLDB expression.")] = None
    over: Annotated[
        Names | None, Meta(description="Window that its aggregates run over; with several, the entry stands for a feature of each.")
    ] = None
    join: Annotated[str | None, Meta(description="Join whose columns it reads.")] = field(default=None, name="from")
    kind: Annotated[
        Kind | None,
        Meta(description="categorical, numeric, label or drop; by default from the type: numbers are numeric, all else categorical."),
    ] = None
    encoding: Annotated[
        Encoding | None,
        Meta(description="hash, bucket or numeric; by default preprocess.numeric for numeric features, hash for categorical ones."),
    ] = None
    columns: Annotated[Names, Meta(description="Short form: the entry stands for a feature of each of these columns.")] = field(
        default_factory=list
    )
    functions: Annotated[
        Names | dict[str, str],
        Meta(
            description="Short form: functions of each column, such as distinct_count or 'topn_frequency({column}, 3)'; a mapping names them."
        ),
    ] = field(default_factory=list)
    name: Annotated[
        str | None,
        Meta(description="Short form: pattern of the names; by default those of {window} or {from}, {column} and {function}, joined by _."),
    ] = None
    openmldb_only: Annotated[
        bool, Meta(description="The expression is SQL for OpenMLDB alone, OVER included; it goes into the query as it is.")
    ] = False
    type: Annotated[SqlType | None, Meta(description="Type of an openmldb_only expression; OpenMLDB's compiler checks it.")] = None


class QueryConfig(Section, frozen=True, kw_only=True):
    keys: Annotated[
        list[str] | None,
        Meta(description="Names of the key column that each sub-query carries, in order. Only needed to match an existing deployment."),
    ] = None
    keys_are_fields: Annotated[
        bool, Meta(description="Feed these per-row ids to the model, as the tutorial does. They cannot generalise.")
    ] = False


class FeaturesConfig(Section, frozen=True, kw_only=True):
    request: RequestConfig
    label: LabelConfig | None = None
    joins: Annotated[dict[str, JoinConfig], Meta(description="Name to LAST JOIN; the name is its alias in SQL.")] = field(
        default_factory=dict
    )
    windows: Annotated[dict[str, WindowConfig], Meta(description="Name to window; the name is the same in SQL.")] = field(
        default_factory=dict
    )
    derived: Annotated[
        dict[str, dict[str, str]],
        Meta(description="Columns added to tables, as {table: {column: expression over its row}}, for keys, orders and expressions."),
    ] = field(default_factory=dict)
    features: Annotated[dict[str, FeatureConfig], Meta(description="Name to definition, in the query's order.")]
    select: Annotated[
        Names, Meta(description="Patterns (* and ?) of the fields to keep; all by default. The label and features of kind drop stay.")
    ] = field(default_factory=list)
    drop: Annotated[Names, Meta(description="Patterns of the features to leave out; the label stays.")] = field(default_factory=list)
    query: QueryConfig = QueryConfig()


# --- engines -----------------------------------------------------------------------------------------------------------


class ClusterConfig(Section, frozen=True, kw_only=True):
    """A password is not a key: a run writes its configuration into its folder."""

    zk: Annotated[
        str | None, Meta(description="ZooKeeper of the cluster, host:port[,host:port]; by default the environment variable OPENMLDB_ZK.")
    ] = None
    zk_path: Annotated[
        str | None,
        Meta(description="The cluster's root in ZooKeeper, e.g. /openmldb; by default the environment variable OPENMLDB_ZK_PATH."),
    ] = None
    host: Annotated[
        str | None,
        Meta(description="A standalone server instead, host:port, to deploy to; by default the environment variable OPENMLDB_HOST."),
    ] = None
    user: Annotated[str | None, Meta(description="User; by default the environment variable OPENMLDB_USER, or OpenMLDB's own default.")] = (
        None
    )
    password_env: Annotated[
        str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="Name of the environment variable that holds the password.")
    ] = "OPENMLDB_PASSWORD"
    password_file: Annotated[str | None, Meta(description="File that holds the password instead.")] = None
    request_timeout_s: Annotated[float, Meta(gt=0, description="Longest wait for the answer to one statement.")] = 60.0
    job_timeout_s: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="Longest wait for one job, which is then stopped; as long as it runs by default."),
    ] = None
    poll_s: Annotated[float, Meta(gt=0, description="Seconds between two looks at a job.")] = 2.0
    retries: Annotated[int, Meta(ge=0, description="Looks in a row that may go unanswered before the cluster counts as lost.")] = 5
    load_offline: Annotated[bool, Meta(description="Load the offline tables before the extract job; false: they are loaded already.")] = (
        True
    )
    deep_copy: Annotated[bool, Meta(description="Copy offline data into OpenMLDB's storage; false: point at the files where they lie.")] = (
        True
    )
    output_here: Annotated[str | None, Meta(description="What openmldb.output is called on this machine, if it has another name here.")] = (
        None
    )


class OpenMLDBConfig(Section, frozen=True, kw_only=True):
    version: Annotated[Literal["0.6", "0.9"], Meta(description="Dialect of the SQL: function names and options.")] = "0.9"
    deployment: Annotated[str, Meta(description="Name of the deployment.")] = "demo"
    deployable: Annotated[
        bool, Meta(description="Whether OpenMLDB has to be able to deploy the features; false: what its request mode cannot is no mistake.")
    ] = True
    data_dir: Annotated[str | None, Meta(description="Folder of the tables as the cluster sees it; dataset.root by default.")] = None
    output: Annotated[str | None, Meta(description="Where the cluster's extract job writes; the run folder by default.")] = None
    range_bias: Annotated[
        str | int | float | None,
        Meta(description="DEPLOY option RANGE_BIAS, e.g. 20d, milliseconds or inf: keep rows for longer than the query needs."),
    ] = None
    rows_bias: Annotated[
        str | int | float | None, Meta(description="DEPLOY option ROWS_BIAS, e.g. 1000 or inf: keep more rows than the query needs.")
    ] = None
    indexes: Annotated[bool, Meta(description="Create tables with the indexes and TTLs that the query needs.")] = False
    skip_index_check: Annotated[bool, Meta(description="DEPLOY option SKIP_INDEX_CHECK: leave the indexes of the tables as they are.")] = (
        False
    )
    long_windows: Annotated[
        dict[str, str],
        Meta(
            description="DEPLOY option LONG_WINDOWS: window to bucket size, e.g. {user_1y: 1d}; for queries over one table that is empty."
        ),
    ] = field(default_factory=dict)
    endpoint: Annotated[str, Meta(description="The APIServer that serving.features=openmldb asks.")] = "http://127.0.0.1:9080"
    cluster: ClusterConfig = ClusterConfig()


class DeployConfig(Section, frozen=True, kw_only=True):
    apply: Annotated[bool, Meta(description="Do what task=deploy shows; false: only show it.")] = False
    replace: Annotated[bool, Meta(description="Drop and deploy anew a deployment whose SQL changed. In between its requests fail.")] = False
    sync: Annotated[
        bool,
        Meta(description="DEPLOY option SYNC: the statement itself waits for new indexes; false: jdrec follows their job and shows it."),
    ] = False
    load: Annotated[
        Literal["empty", "all", "none"],
        Meta(description="Online data after deploying: empty: tables that hold no rows yet; all: append to every table; none."),
    ] = "empty"


EngineName = Literal["embedded", "spark", "openmldb"]


class EngineConfig(Section, frozen=True, kw_only=True):
    name: Annotated[
        EngineName, Meta(description="Where features are computed: in this process, by OpenMLDB's batch engine on Spark, or by a cluster.")
    ] = "embedded"
    threads: Annotated[int, Meta(ge=0, description="Threads of the embedded engine; 0: one a core.")] = 0
    master: Annotated[
        str,
        Meta(min_length=1, description="Spark: local[*], local[4], spark://host:7077, yarn, k8s://... The driver runs in this process."),
    ] = "local[*]"
    driver_memory: Annotated[str, Meta(pattern=r"^[0-9]+[kmgtKMGT]$", description="Spark: heap of the driver, e.g. 4g.")] = "4g"
    spark_conf: Annotated[
        dict[str, str | int | float | bool],
        Meta(description="Spark: any of its properties, e.g. {spark.executor.memory: 8g}; they win over jdrec's own."),
    ] = field(default_factory=dict)
    jars: Annotated[
        str | None, Meta(description="Spark: folder of OpenMLDB's jars; by default the user's cache, where make spark-jars puts them.")
    ] = None
    java_home: Annotated[str | None, Meta(description="Spark: folder of a Java 8, 11 or 17; by default JAVA_HOME, or java on PATH.")] = None
    work_dir: Annotated[
        str | None,
        Meta(
            description="Spark: folder for intermediate Parquet files. A cluster's executors must see it too; by default a temporary one."
        ),
    ] = None
    keep_parts: Annotated[
        bool, Meta(description="Spark: also keep the partitioned Parquet directory, features.parts beside features.parquet.")
    ] = False


class CompareConfig(Section, frozen=True, kw_only=True):
    with_: Annotated[EngineName, Meta(description="task=compare: the engine whose values engine.name's are compared with.")] = field(
        default="spark", name="with"
    )
    tolerance: Annotated[
        float, Meta(ge=0, description="Largest difference of two floating values, relative to the larger one; 0: the same bit for bit.")
    ] = 0.0
    examples: Annotated[int, Meta(ge=0, description="Differing cells shown of each feature.")] = 3


# --- preprocess --------------------------------------------------------------------------------------------------------


class SplitConfig(Section, frozen=True, kw_only=True):
    by: Annotated[
        Literal["time", "random", "row_order"],
        Meta(description="time: the newest requests are the test; random: seeded; row_order: as the rows come."),
    ] = "time"
    train: Annotated[float, Meta(gt=0, lt=1, description="Share of the training split.")] = 0.8
    test: Annotated[float, Meta(ge=0, lt=1, description="Share of the test split; validation gets the rest.")] = 0.1

    def __post_init__(self) -> None:
        if self.train + self.test > 1 + 1e-9:
            raise ValueError(f"train {self.train:g} and test {self.test:g} are more than the whole.")


class PreprocessConfig(Section, frozen=True, kw_only=True):
    encoding: Annotated[
        Literal["canonical", "tutorial"],
        Meta(description="canonical: typed and salted by field; tutorial: xxh64 of the text that pandas would have read."),
    ] = "canonical"
    hash_seed: Annotated[int, Meta(ge=0, description="Seed of xxh64.")] = 10
    columns: Annotated[
        Literal["names", "tutorial"], Meta(description="Sample columns: the features' names, or the tutorial's Label, I1.., C1...")
    ] = "names"
    numeric: Annotated[Encoding, Meta(description="Encoding of numeric features that do not name one.")] = Encoding.BUCKET
    buckets: Annotated[int, Meta(ge=2, description="Quantile buckets of a bucketised feature.")] = 32
    split: SplitConfig = SplitConfig()
    keep: Annotated[
        Names, Meta(description="Output columns copied into the samples besides label and fields, for metrics by group or time.")
    ] = field(default_factory=list)


# --- model and training ------------------------------------------------------------------------------------------------


class ModelConfig(Section, frozen=True, kw_only=True):
    name: Annotated[Literal["deepfm"], Meta(description="DeepFM (arXiv 1703.04247).")] = "deepfm"
    embedding_dim: Annotated[int, Meta(ge=1, description="Length of an embedding vector.")] = 16
    dnn: Annotated[list[PositiveInt], Meta(description="Units of the hidden layers.")] = field(default_factory=lambda: [400] * 3)
    dropout: Annotated[float, Meta(ge=0, lt=1, description="Dropout of the hidden layers.")] = 0.2
    min_count: Annotated[
        int, Meta(ge=1, description="Ids rarer than this in the training split share their field's row for ids never seen, and train it.")
    ] = 1


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


# --- serving -----------------------------------------------------------------------------------------------------------


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


# --- the whole ---------------------------------------------------------------------------------------------------------

STAGES = ("render", "check", "extract", "preprocess", "train", "evaluate", "export")
Task = Literal["render", "check", "extract", "preprocess", "train", "evaluate", "export", "deploy", "compare", "serve", "demo", "predict"]


class CacheConfig(Section, frozen=True, kw_only=True):
    dir: Annotated[str, Meta(description="Folder of stage results, keyed by what went into them.")] = "outputs/cache"
    enabled: Annotated[bool, Meta(description="Reuse results that are up to date.")] = True


class Config(Section, frozen=True, kw_only=True):
    task: Annotated[
        Task, Meta(description="How far to go: each stage runs those before it that it needs; or a verb that stands alone.")
    ] = "export"
    seed: Annotated[int, Meta(ge=0, description="Seed of splits, initial weights, dropout and shuffling.")] = 2016
    run: Annotated[str | None, Meta(description="Folder of an earlier run that evaluate, export, serve and predict use.")] = None
    request: Annotated[
        str | None, Meta(description="task=predict: JSON file with one request row or a list of them; '-' is standard input.")
    ] = None
    dataset: DatasetConfig
    features: FeaturesConfig
    openmldb: OpenMLDBConfig = OpenMLDBConfig()
    deploy: DeployConfig = DeployConfig()
    engine: EngineConfig = EngineConfig()
    compare: CompareConfig = CompareConfig()
    preprocess: PreprocessConfig = PreprocessConfig()
    model: ModelConfig = ModelConfig()
    trainer: TrainerConfig = TrainerConfig()
    serving: ServingConfig = ServingConfig()
    cache: CacheConfig = CacheConfig()


def load(values: dict[str, Any]) -> Config:
    """Checks composed values against the schema.

    Args:
        values: the composed configuration as plain containers, interpolations resolved.

    Raises:
        ConfigError: every mistake found, each with its YAML path, the reason and the nearest valid name.
    """
    version = values.get("openmldb", {}).get("version")
    if isinstance(version, float):  # YAML and the command line read 0.6 as a number
        values = {**values, "openmldb": {**values["openmldb"], "version": str(version)}}
    values = _with_on(values)
    try:
        if not _holds_missing(values):
            return msgspec.convert(values, Config)
    except msgspec.ValidationError:
        pass
    from jdrec.config_errors import explain

    raise explain(values, Config)


def _with_on(values: dict[str, Any]) -> dict[str, Any]:
    """YAML 1.1 reads the key `on` of a join as true; this gives it its name back."""
    features = values.get("features")
    joins = features.get("joins") if isinstance(features, dict) else None
    if not isinstance(features, dict) or not isinstance(joins, dict):
        return values

    def named(join: Any) -> Any:
        misread = [key for key in (True, "true") if isinstance(join, dict) and key in join]  # "true" once it went through JSON
        if not misread:
            return join
        return {"on": join[misread[0]], **{key: value for key, value in join.items() if key not in misread}}

    return {**values, "features": {**features, "joins": {name: named(join) for name, join in joins.items()}}}


def _holds_missing(value: Any) -> bool:
    """Whether a required key still has Hydra's mark for "must be given"."""
    return value == "???" or (isinstance(value, dict) and any(map(_holds_missing, value.values())))


def defaults() -> dict[str, Any]:
    """Every key with a default, as plain containers; a required key is "???". Hydra composes the YAML on top of it."""
    return _defaults_of(Config)


def _defaults_of(section: type[Struct]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for info in msgspec.structs.fields(section):
        if info.default_factory is not msgspec.NODEFAULT:
            value = info.default_factory()
        elif info.default is not msgspec.NODEFAULT:
            value = info.default
        elif isinstance(info.type, type) and issubclass(info.type, Struct):
            value = _defaults_of(info.type)
        else:
            value = "???"
        result[info.encode_name] = msgspec.to_builtins(value)
    return result

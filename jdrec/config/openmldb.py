"""Configuration of OpenMLDB: dialect, deployment, cluster."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from jdrec.config.base import Section


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

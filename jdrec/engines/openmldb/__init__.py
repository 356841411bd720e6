"""The feature query on a real OpenMLDB cluster, through the OpenMLDB SDK.

Tables are created and loaded there, its offline engine (Spark) runs the query as a job, and the job's Parquet output is read back.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from jdrec.engines.report import ExtractReport
from jdrec.errors import ConfigError
from jdrec.system import peak_memory

if TYPE_CHECKING:
    from jdrec.config import Config
    from jdrec.dataset.tables import TableSet
    from jdrec.engines.openmldb.connection import Session
    from jdrec.engines.openmldb.jobs import Jobs
    from jdrec.features.spec import FeatureSet
    from jdrec.progress import Progress

log = logging.getLogger(__name__)


def extract(feature_set: FeatureSet, tables: TableSet, out: Path, *, config: Config, progress: Progress) -> ExtractReport:
    """Computes all features of all requests on the cluster.

    Args:
        tables: the files as this process sees them; the request table's gives the order of rows. `openmldb.data_dir` says where
            the cluster sees them.
        out: the Parquet file to write: the columns of `feature_set.features`, rows in the request table's order.

    Raises:
        MissingExtra: the SDK is not installed.
        ConfigError: it is not said where the cluster is, or what is said cannot be.
        ClusterError: the cluster cannot be reached, refuses a statement, or a job fails (`JobError`, with the job's log).
        SchemaError: a table exists there with other columns.
    """
    from jdrec.engines.openmldb import result
    from jdrec.engines.openmldb import tables as on_cluster
    from jdrec.engines.openmldb.connection import Session
    from jdrec.engines.openmldb.settings import settings
    from jdrec.features.sql import render

    require_version(config)
    start = time.perf_counter()
    scripts = render(feature_set, config, out.parent)
    with Session(settings(config.openmldb.cluster)) as session:
        if not session.is_cluster:
            raise ConfigError(
                "a standalone server has no offline engine.", where="openmldb.cluster.host", hint="Name a cluster with zk and zk_path."
            )
        jobs = jobs_of(session, config, progress)
        on_cluster.create(session, scripts["create_tables.sql"], feature_set)
        prepare(session, config)
        if config.openmldb.cluster.load_offline:
            on_cluster.load_offline(session, jobs, scripts["load_offline_data.sql"], deep_copy=config.openmldb.cluster.deep_copy)
        output = select(session, jobs, scripts["select_features.sql"])
    log.info("the extract job wrote %s", output)
    source = result.local_view(output, config.openmldb.output, config.openmldb.cluster.output_here)
    with progress.task("read the job's output"):
        rows = result.collect(feature_set, tables, source, out)
    return ExtractReport(rows, len(feature_set.features), time.perf_counter() - start, peak_memory())


def require_version(config: Config) -> None:
    """The SDK's dialect is 0.9.

    Raises:
        ConfigError: the definition is rendered for an older one.
    """
    if config.openmldb.version != "0.9":
        raise ConfigError("the SDK speaks to OpenMLDB 0.9.", where="openmldb.version", hint="Use openmldb.version=0.9.")


def jobs_of(session: Session, config: Config, progress: Progress) -> Jobs:
    """Jobs of a session that are waited for as `openmldb.cluster` says."""
    from jdrec.engines.openmldb.jobs import Jobs, Patience

    cluster = config.openmldb.cluster
    return Jobs(session, Patience(cluster.poll_s, cluster.job_timeout_s, cluster.retries), progress)


def prepare(session: Session, config: Config) -> None:
    """Sets the session's variables: jobs are started and not waited for by the SDK, which has a time limit of its own."""
    session.execute("SET @@sync_job='false'")
    session.execute(f"SET @@job_timeout='{round(config.openmldb.cluster.request_timeout_s * 1000)}'")


def select(session: Session, jobs: Jobs, script: str) -> str:
    """Runs the extract job and returns where its output is, as the cluster sees it.

    Args:
        script: select_features.sql.
    """
    from jdrec.engines.openmldb import statements as sql

    output = ""
    session.execute("SET @@execute_mode='offline'")
    for statement in sql.split(script):
        if sql.is_a(statement, "select"):
            output = sql.text_after(statement, "into", "outfile")
            jobs.run(sql.with_options(statement, {"format": "parquet", "mode": "overwrite"}), "extract features")
        else:
            session.execute(statement)
    return output

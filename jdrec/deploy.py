"""task=deploy: shows what deploying the definition would change on the cluster, and does it with deploy.apply=true.

The order is OpenMLDB's: tables, deployment, online data. DEPLOY makes the indexes and their time to live; rows that are loaded
before it can expire by the old ones, and a long window needs tables without rows.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from jdrec.engines import openmldb
from jdrec.errors import CheckError, StageError, nearest

if TYPE_CHECKING:
    from jdrec.config import Config
    from jdrec.engines.openmldb.connection import Session
    from jdrec.engines.openmldb.deployment import Plan
    from jdrec.features.spec import FeatureSet
    from jdrec.progress import Progress

log = logging.getLogger(__name__)


def run(config: Config, feature_set: FeatureSet, folder: Path, progress: Progress) -> None:
    """Prints the plan and, with deploy.apply=true, carries it out.

    Args:
        folder: the run folder.

    Raises:
        MissingExtra: the SDK is not installed.
        ConfigError: the cluster's address is not given, or an option cannot be.
        CompilerError: OpenMLDB's compiler refuses the query; the cluster has not been asked for anything then.
        StageError: a changed deployment without deploy.replace=true.
        ClusterError: see `jdrec.engines.openmldb`.
    """
    from jdrec.engines.openmldb.connection import Session
    from jdrec.engines.openmldb.settings import settings
    from jdrec.features import checks, compiler
    from jdrec.features.sql import render

    openmldb.require_version(config)
    long_windows = long_window_options(config, feature_set)
    connect = settings(config.openmldb.cluster)
    scripts = render(feature_set, config, folder)
    checks.check(feature_set, deploying=True)  # whatever openmldb.deployable says: now it has to be
    compiler.check(feature_set)
    with Session(connect) as session:
        plan = make_plan(session, feature_set, scripts["deploy.sql"], long_windows)
        print(plan.report())
        for note in notes(config, plan):
            print(note)
        if not config.deploy.apply:
            print("nothing was done; to do it: deploy.apply=true" + (" deploy.replace=true" if plan.state == "changed" else ""))
            return
        if plan.state == "changed" and not config.deploy.replace:
            raise StageError(f"deployment {plan.wanted.name} has changed.", where="deploy.replace", hint=_replace_hint(plan))
        apply(session, plan, scripts, feature_set, config, progress)


def make_plan(session: Session, feature_set: FeatureSet, script: str, options: dict[str, str]) -> Plan:
    """Compares deploy.sql, with `options` added, with what is deployed; a database that does not exist yet has nothing deployed."""
    from jdrec.engines.openmldb import deployment, tables
    from jdrec.engines.openmldb import statements as sql
    from jdrec.features import quoting

    statement = sql.with_options(next(statement for statement in sql.split(script) if sql.is_a(statement, "deploy")), options)
    if not tables.exist(session, feature_set.database):
        return deployment.Plan(feature_set.database, "new", deployment.parse(statement), None)
    session.execute(f"USE {quoting.bare(feature_set.database)}")
    return deployment.plan(session, feature_set.database, statement)


def apply(
    session: Session,
    plan: Plan,
    scripts: dict[str, str],
    feature_set: FeatureSet,
    config: Config,
    progress: Progress,
) -> None:
    """Creates what tables are missing, deploys, and loads online data."""
    from jdrec.engines.openmldb import deployment, tables

    jobs = openmldb.jobs_of(session, config, progress)
    tables.create(session, scripts["create_tables.sql"], feature_set)
    openmldb.prepare(session, config)
    if plan.state != "unchanged" and config.openmldb.long_windows:
        _require_empty(session, feature_set)
    deployment.deploy(session, jobs, plan, once_options(config))
    loaded = []
    if config.deploy.load != "none":
        loaded = tables.load_online(session, jobs, scripts["load_online_data.sql"], only_empty=config.deploy.load == "empty")
    did = {"new": "deployed", "changed": "dropped and deployed anew", "unchanged": "left as it is"}[plan.state]
    print(f"{plan.database}.{plan.wanted.name} {did}; {'loaded ' + ', '.join(loaded) if loaded else 'no table was loaded'}")


def once_options(config: Config) -> dict[str, str]:
    """Options of DEPLOY that say how to carry it out."""
    skip = {"SKIP_INDEX_CHECK": "true"} if config.openmldb.skip_index_check else {}
    return {"SYNC": str(config.deploy.sync).lower(), **skip}


def long_window_options(config: Config, feature_set: FeatureSet) -> dict[str, str]:
    """The option LONG_WINDOWS, if openmldb.long_windows asks for it.

    Raises:
        CheckError: OpenMLDB cannot deploy them.
    """
    from jdrec.features.frames import milliseconds

    where, wanted = "openmldb.long_windows", config.openmldb.long_windows
    if not wanted:
        return {}
    for name, bucket in wanted.items():
        if name not in feature_set.windows:
            raise CheckError(f"there is no window {name!r}.", where=where, hint=nearest(name, feature_set.windows))
        if not bucket.isdigit():
            try:
                milliseconds(bucket)
            except ValueError:
                raise CheckError(f"{bucket!r} is not a bucket size such as 1d or 1000.", where=f"{where}.{name}") from None
    if len(feature_set.blocks) > 1 or feature_set.blocks[0].kind != "request" or feature_set.joins:
        raise CheckError("OpenMLDB has long windows only in queries over one table, without join or union.", where=where)
    return {"LONG_WINDOWS": ",".join(f"{name}:{bucket}" for name, bucket in wanted.items())}


def _require_empty(session: Session, feature_set: FeatureSet) -> None:
    from jdrec.engines.openmldb import tables

    rows = tables.online_rows(session)
    filled = [f"{name} ({rows[name]:,} rows)" for name in feature_set.tables if rows.get(name)]
    if filled:
        raise StageError(
            f"long windows can only be deployed on tables without online rows: {', '.join(filled)}.",
            where="openmldb.long_windows",
            hint="TRUNCATE TABLE them and deploy again, or use another dataset.database.",
        )


def notes(config: Config, plan: Plan) -> list[str]:
    """What a user should know before applying the plan."""
    found = []
    if plan.state == "changed":
        found.append(f"note: {_replace_hint(plan)}")
    if plan.state != "unchanged" and config.openmldb.range_bias is None:
        found.append(
            "note: the indexes drop rows that are older, by the clock, than the query's windows reach. For historic data set openmldb.range_bias=inf."
        )
    return found


def _replace_hint(plan: Plan) -> str:
    return (
        f"OpenMLDB cannot change a deployment: {plan.wanted.name} is dropped and deployed anew (deploy.replace=true). In between, and while new "
        "indexes are built, its requests fail; if the new one is refused, the old one is deployed again. To switch without a gap, deploy under "
        "another name (openmldb.deployment), point the service at it, then drop the old one."
    )

"""Deployments of a cluster: what is deployed, how it differs from the definition, and how to put the definition in its place.

Source: OpenMLDB documentation, "DEPLOY", "SHOW DEPLOYMENTS", "SHOW DEPLOYMENT", "DROP DEPLOYMENT".
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from jdrec.engines.openmldb import statements as sql
from jdrec.engines.openmldb.connection import Session
from jdrec.engines.openmldb.errors import ClusterError, JobTimeout, LostConnection
from jdrec.engines.openmldb.jobs import Jobs
from jdrec.engines.openmldb.normal import normal
from jdrec.features import quoting

log = logging.getLogger(__name__)

# Options that say how to deploy once, not what is deployed.
_ONCE = ("sync", "skip_index_check")


@dataclass(frozen=True)
class Deployment:
    """A deployed query.

    Attributes:
        options: lower-case name to value, e.g. {"range_bias": "inf"}.
        query: in normal form.
        statement: the DEPLOY statement that makes it.
    """

    name: str
    options: dict[str, str]
    query: str
    statement: str

    def text(self) -> str:
        """What makes it equal to another one, line by line."""
        options = ", ".join(f"{name}={value}" for name, value in sorted(self.options.items()) if name not in _ONCE)
        return (f"options({options})\n" if options else "") + self.query


def parse(statement: str) -> Deployment:
    """Reads a DEPLOY statement.

    Raises:
        ValueError: it is none.
    """
    name = sql.name_after(statement, "deploy")
    options = {key: value.lower() for key, value in sql.options_of(statement).items()}
    for token in sql.tokens(statement):
        if token.is_word("select", "with"):
            return Deployment(name, options, normal(statement[token.start :]), statement)
    raise ValueError(f"there is no query in: {statement}")


def deployed(session: Session, name: str) -> Deployment | None:
    """The deployment of this name in the current database; None: there is none.

    Raises:
        ClusterError: the cluster's answer is not understood.
    """
    if name not in names(session):
        return None
    answer = session.text(f"SHOW DEPLOYMENT {quoting.bare(name)}")
    try:
        return parse(_statement_in(answer))
    except ValueError as error:
        raise ClusterError(f"the answer to SHOW DEPLOYMENT {name} is not understood: {error}") from None


def names(session: Session) -> list[str]:
    """Names of the deployments in the current database."""
    return [str(row["Deployment"]) for row in session.execute("SHOW DEPLOYMENTS")]


def _statement_in(answer: str) -> str:
    """The statement in the answer to SHOW DEPLOYMENT, which is a drawing of tables; its second table has the column SQL."""
    lines = answer.splitlines()
    rule = re.compile(r"\s*-[-\s]*")
    for position in range(len(lines) - 1):
        if lines[position].strip() == "SQL" and rule.fullmatch(lines[position + 1]):
            body = lines[position + 2 :]
            end = next((i for i, line in enumerate(body) if rule.fullmatch(line)), len(body))
            return _deploy("\n".join(line.rstrip() for line in body[:end]).strip())
    raise ValueError(f"no SQL in {answer[:200]!r}")


def _deploy(statement: str) -> str:
    """Some versions show the procedure that a deployment is: CREATE PROCEDURE name (columns) BEGIN SELECT ...; END;"""
    if sql.is_a(statement, "create", "procedure"):
        begin = next(token for token in sql.tokens(statement) if token.is_word("begin"))
        statement = f"DEPLOY {sql.name_after(statement, 'create', 'procedure')} {re.sub(r'END;?$', '', statement[begin.end :].strip())}"
    return statement.strip().rstrip(";").rstrip()


@dataclass(frozen=True)
class Plan:
    """What deploying would do.

    Attributes:
        others: deployments of the database that are left alone.
    """

    database: str
    state: Literal["new", "changed", "unchanged"]
    wanted: Deployment
    present: Deployment | None
    others: tuple[str, ...] = ()

    def diff(self) -> str:
        """A unified diff of both queries in normal form; empty if nothing changes."""
        before = self.present.text().splitlines() if self.present else []
        lines = difflib.unified_diff(before, self.wanted.text().splitlines(), "deployed", "defined", lineterm="")
        return "\n".join(lines)

    def report(self) -> str:
        """The plan in words, with the diff."""
        title = f"deployment {self.database}.{self.wanted.name}: {self.state}"
        left = f"left alone: {', '.join(self.others)}" if self.others else ""
        return "\n".join(part for part in (title, self.diff(), left) if part)


def plan(session: Session, database: str, statement: str) -> Plan:
    """Compares a DEPLOY statement with what the current database has."""
    wanted = parse(statement)
    present = deployed(session, wanted.name)
    state: Literal["new", "changed", "unchanged"] = "new"
    if present is not None:
        state = "unchanged" if present.text() == wanted.text() else "changed"
    others = tuple(name for name in names(session) if name != wanted.name)
    return Plan(database, state, wanted, present, others)


def deploy(session: Session, jobs: Jobs, plan: Plan, options: Mapping[str, str]) -> None:
    """Deploys what is new or changed, and waits for the indexes that it needs.

    A changed deployment is dropped first. If the new one is then refused, the old one is deployed again.

    Args:
        options: how to carry it out: SYNC, SKIP_INDEX_CHECK.

    Raises:
        ClusterError: the cluster refuses the statement, or its index job fails (`JobError`).
    """
    if plan.state == "unchanged":
        return
    statement = sql.with_options(plan.wanted.statement, options)
    session.execute("SET @@execute_mode='online'")
    if plan.present is None:
        jobs.follow(session.execute(statement), f"build the indexes of {plan.wanted.name}")
        return
    session.execute(f"DROP DEPLOYMENT {quoting.bare(plan.wanted.name)}")
    try:
        jobs.follow(session.execute(statement), f"build the indexes of {plan.wanted.name}")
    except (LostConnection, JobTimeout):  # the new one may come yet
        raise
    except ClusterError as error:
        raise type(error)(error.message, where=error.where, hint=_restore(session, jobs, plan.present)) from None


def _restore(session: Session, jobs: Jobs, present: Deployment) -> str:
    """Deploys the old query again; what came of it, in words."""
    try:
        jobs.follow(session.execute(present.statement), f"restore {present.name}")
    except ClusterError as error:
        log.error("the old deployment, to be restored by hand:\n%s", present.statement)
        return f"\nThe old deployment {present.name} was dropped and could not be restored ({error.message}); its statement is in the log."
    return f"\nThe old deployment {present.name} was restored."

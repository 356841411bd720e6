"""Database and tables on the cluster: create them, see that they are what the definition says, load them.

Source: OpenMLDB documentation, "CREATE TABLE", "SHOW CREATE TABLE", "SHOW TABLE STATUS", "LOAD DATA INFILE".
"""

from __future__ import annotations

import logging

from jdrec.engines.openmldb import statements as sql
from jdrec.engines.openmldb.connection import Session
from jdrec.engines.openmldb.errors import ClusterError, SchemaError
from jdrec.engines.openmldb.jobs import Jobs
from jdrec.features import quoting
from jdrec.features.spec import FeatureSet, Table
from jdrec.features.types import SqlType

log = logging.getLogger(__name__)

# Other names of types in SHOW CREATE TABLE and in SQL.
_SYNONYMS = {"varchar": "string", "int16": "smallint", "i16": "smallint", "int32": "int", "i32": "int", "integer": "int", "int64": "bigint"}


def create(session: Session, script: str, feature_set: FeatureSet) -> None:
    """Creates what is missing of the database and its tables, and checks the columns of what was there.

    Args:
        script: create_tables.sql.

    Raises:
        SchemaError: an existing table has other columns than the definition: every difference of every table.
        ClusterError: a statement is refused.
    """
    for statement in sql.split(script):
        session.execute(sql.if_not_exists(statement) if sql.is_a(statement, "create") else statement)
    differences = [line for table in feature_set.tables.values() for line in _differences(session, table)]
    if differences:
        raise SchemaError(
            f"tables of {feature_set.database} exist with other columns than dataset.tables:\n  " + "\n  ".join(differences),
            hint="\nNothing was changed. Use another dataset.database, correct dataset.tables, or DROP TABLE what is not needed.",
        )


def _differences(session: Session, table: Table) -> list[str]:
    rows = session.execute(f"SHOW CREATE TABLE {quoting.bare(table.name)}")
    text = next((str(row["Create Table"]) for row in rows if row.get("Create Table")), "")
    found = columns_of(text)
    wanted = table.columns
    if list(found.items()) == list(wanted.items()):
        return []
    lines = [f"{table.name}: column {name} is missing" for name in wanted if name not in found]
    lines += [f"{table.name}: column {name} {type_} is not in the definition" for name, type_ in found.items() if name not in wanted]
    lines += [
        f"{table.name}: column {name} is {found[name]}, defined as {wanted[name].value}"
        for name in wanted
        if found.get(name, wanted[name]) != wanted[name]
    ]
    return lines or [f"{table.name}: its columns are in another order: {', '.join(found)}"]


def columns_of(create_table: str) -> dict[str, SqlType | str]:
    """Column name to type in a CREATE TABLE statement; a type that is not known stays a word."""
    columns: dict[str, SqlType | str] = {}
    body = create_table[create_table.find("(") + 1 :]
    for item in _items(body):
        found = list(sql.tokens(item))
        if len(found) < 2 or (found[0].is_word("index") and found[1].text == "("):
            continue
        word = found[1].text.lower()
        word = _SYNONYMS.get(word, word)
        columns[found[0].text.strip("`")] = SqlType(word) if word in SqlType._value2member_map_ else word
    return columns


def _items(body: str) -> list[str]:
    """The comma-separated items of a parenthesis whose opening is gone."""
    items, depth, start = [], 0, 0
    for token in sql.tokens(body):
        if (token.text == "," and depth == 0) or (token.text == ")" and depth == 0):
            items.append(body[start : token.start])
            start = token.end
            if token.text == ")":
                break
        depth += (token.text == "(") - (token.text == ")")
    return items


def exist(session: Session, database: str) -> bool:
    """Whether the cluster has this database."""
    return any(database in row.values() for row in session.execute("SHOW DATABASES"))


def online_rows(session: Session) -> dict[str, int]:
    """Rows that each table of the current database holds for online requests, as the NameServer knows it."""
    return {str(row["Table_name"]): int(row["Rows"] or 0) for row in session.execute("SHOW TABLE STATUS")}


def load_offline(session: Session, jobs: Jobs, script: str, *, deep_copy: bool) -> list[str]:
    """Loads the offline data of every table in place of what it had; one job after the other.

    Args:
        script: load_offline_data.sql.
        deep_copy: copy the files into OpenMLDB's own storage; otherwise the tables point at the files where they are.

    Returns:
        Names of the tables.

    Raises:
        JobError, LostConnection, ClusterError: see `Jobs.run`.
    """
    loaded = []
    for statement in sql.split(script):
        if not sql.is_a(statement, "load", "data"):
            session.execute(statement)
            continue
        table = sql.name_after(statement, "into", "table")
        jobs.run(sql.with_options(statement, {"mode": "overwrite", **({} if deep_copy else {"deep_copy": False})}), f"load {table} offline")
        loaded.append(table)
    return loaded


def load_online(session: Session, jobs: Jobs, script: str, *, only_empty: bool) -> list[str]:
    """Appends the online data of every table; one job after the other.

    Args:
        script: load_online_data.sql.
        only_empty: leave out tables that hold rows already. Online loading can only append, so they would be doubled.

    Returns:
        Names of the tables that were loaded.

    Raises:
        JobError: a job failed; its table may hold a part of its rows.
        LostConnection, ClusterError: see `Jobs.run`.
    """
    loaded: list[str] = []
    rows: dict[str, int] = {}
    for statement in sql.split(script):
        if not sql.is_a(statement, "load", "data"):
            session.execute(statement)
            continue
        rows = rows or online_rows(session)
        table = sql.name_after(statement, "into", "table")
        if only_empty and rows.get(table, 0):
            log.info("%s holds %s rows online and is not loaded again", table, f"{rows[table]:,}")
            continue
        try:
            jobs.run(statement, f"load {table} online")
        except ClusterError as error:
            partial = f"{table} may hold a part of its rows: TRUNCATE TABLE {table} before it is loaded again."
            raise type(error)(error.message, hint=f"{error.hint or ''}\n{partial}") from None
        loaded.append(table)
    return loaded

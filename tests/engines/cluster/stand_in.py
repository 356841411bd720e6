"""A cluster that is not there: the SDK's `connect`, connection and cursor, with a small server behind them.

It keeps databases, tables, jobs and deployments, accepts only statements that the documentation knows, in an order that a cluster
would accept, and answers as OpenMLDB 0.9.2's SDK does: which statements have rows, how they are called, what the errors are.
It computes nothing; what an extract job writes is given by the test.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

IF_NOT_EXISTS = r"(IF NOT EXISTS )?"
NAME = r"`?(\w+)`?"
JOB_COLUMNS = re.findall(
    r"\w+", "job_id job_type state start_time end_time parameter cluster application_id error db name pid cur_task component"
)


class DatabaseError(Exception):
    """What the SDK raises for a statement that fails."""


@dataclass
class Job:
    """A job and the states that looks at it will see; the last one stays."""

    number: int
    kind: str
    states: list[str]
    error: str | None = None
    log: str = ""
    done: Callable[[], None] = lambda: None
    component: str = "TaskManager"

    def look(self) -> tuple[Any, ...]:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if state.lower() == "finished":
            self.done()
        return (
            self.number,
            self.kind,
            state,
            1_459_419_080_000,
            None,
            "/tmp/sql",
            "local[*]",
            "",
            self.error,
            None,
            None,
            None,
            None,
            self.component,
        )


@dataclass
class Table:
    columns: str  # as written in CREATE TABLE
    offline: str | None = None  # what was loaded
    deep_copy: bool = True
    online_rows: int = 0


@dataclass
class Cluster:
    """The server.

    Attributes:
        statements: all that was executed, in order.
        failing: part of a statement -> (state, error, log) of the job that it starts.
        refused: part of a statement -> the error that it gets at once.
        lost_at: part of a statement -> how many times it gets no answer.
        output: writes the extract job's files into the folder that it is given.
        unparse: how the server's parser writes a query.
    """

    output: Callable[[Path], None] = lambda folder: None
    unparse: Callable[[str], str] = lambda query: re.sub(r"\bover (\w+)", r"OVER (\1)", query)
    running: tuple[str, ...] = ("Submitted", "RUNNING")
    failing: dict[str, tuple[str, str | None, str]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    lost_at: dict[str, int] = field(default_factory=dict)
    statements: list[str] = field(default_factory=list)
    arguments: list[dict[str, Any]] = field(default_factory=list)
    databases: dict[str, dict[str, Table]] = field(default_factory=dict)
    deployments: dict[str, tuple[str, str]] = field(default_factory=dict)  # name -> options as shown, query as shown
    jobs: dict[int, Job] = field(default_factory=dict)
    stopped: list[int] = field(default_factory=list)
    down: str | None = None  # the error of connect

    # --- the SDK ---

    def connect(self, **arguments: Any) -> Connection:
        self.arguments.append(arguments)
        if self.down is not None:
            raise Exception(f"{self.down} with {arguments}, is cluster mode {'zkPath' in arguments}")  # bare, as the SDK raises it
        return Connection(self)

    # --- the server ---

    def answer(self, session: Connection, statement: str) -> tuple[list[str], list[tuple[Any, ...]]] | None:
        """Columns and rows, or None."""
        self.statements.append(statement)
        for part, times in self.lost_at.items():
            if part in statement and times > 0:
                self.lost_at[part] -= 1
                raise DatabaseError("[2000] request fail, connect to 10.1.2.3:9902 timed out")
        for part, error in self.refused.items():
            if part in statement:
                raise DatabaseError(error)
        for pattern, method in self._grammar():
            if match := re.fullmatch(pattern, statement.strip(), re.IGNORECASE | re.DOTALL):
                return method(session, *match.groups())
        raise DatabaseError(f"Syntax error: {statement}")

    def _grammar(self) -> list[tuple[str, Callable[..., Any]]]:
        return [
            (rf"CREATE DATABASE {IF_NOT_EXISTS}{NAME}", self._create_database),
            (rf"USE {NAME}", self._use),
            (rf"CREATE TABLE {IF_NOT_EXISTS}{NAME}\s*\((.*)\)", self._create_table),
            (rf"SHOW CREATE TABLE {NAME}", self._show_create_table),
            (r"SHOW DATABASES", lambda session: (["Databases"], [(name,) for name in self.databases])),
            (r"SHOW TABLE STATUS", self._show_table_status),
            (r"SET @@(execute_mode|sync_job|job_timeout)='(\w+)'", self._set),
            (rf"LOAD DATA INFILE '([^']*)' INTO TABLE {NAME} options\((.*)\)", self._load),
            (r"select\s(.*)\sINTO OUTFILE '([^']*)' OPTIONS\((.*)\)", self._select_into),
            (r"SHOW JOB (\d+)", self._show_job),
            (r"SHOW JOBS FROM NAMESERVER LIKE '(\d+)'", self._show_nameserver_job),
            (r"SHOW JOBLOG (\d+)", self._show_log),
            (r"STOP JOB (\d+)", self._stop),
            (r"SHOW DEPLOYMENTS", self._show_deployments),
            (rf"SHOW DEPLOYMENT {NAME}", self._show_deployment),
            (rf"DROP DEPLOYMENT {NAME}", self._drop_deployment),
            (rf"DEPLOY {NAME}(?: OPTIONS\((.*?)\))?\s+(select .*)", self._deploy),
        ]

    def _tables(self, session: Connection) -> dict[str, Table]:
        if session.database is None:
            raise DatabaseError("please enter database first")
        return self.databases[session.database]

    def _create_database(self, session: Connection, quiet: str | None, name: str) -> None:
        if name in self.databases and not quiet:
            raise DatabaseError("Create database failed for database already exists")
        self.databases.setdefault(name, {})

    def _use(self, session: Connection, name: str) -> None:
        if name not in self.databases:
            raise DatabaseError("Use database failed for database not found")
        session.database = name

    def _create_table(self, session: Connection, quiet: str | None, name: str, columns: str) -> None:
        tables = self._tables(session)
        if name in tables and not quiet:
            raise DatabaseError("table already exists")
        tables.setdefault(name, Table(columns))

    def _show_create_table(self, session: Connection, name: str) -> Any:
        tables = self._tables(session)
        if name not in tables:
            raise DatabaseError(f"table {name} does not exist")
        columns = re.split(r",\s*(?![^(]*\))", tables[name].columns)
        spelt = {"string": "varchar", "bigint": "bigInt", "smallint": "smallInt"}
        lines = [f"`{c.split()[0].strip('`')}` {spelt.get(c.split()[1], c.split()[1])}" for c in columns if not c.startswith("INDEX")]
        text = f"CREATE TABLE `{name}` (\n" + ",\n".join(lines) + ",\nINDEX (KEY=`k`, TTL_TYPE=ABSOLUTE, TTL=0m)\n) "
        return ["Table", "Create Table"], [
            (name, text + "OPTIONS (PARTITIONNUM=8, REPLICANUM=2, STORAGE_MODE='Memory', COMPRESS_TYPE='NoCompress');")
        ]

    def _show_table_status(self, session: Connection) -> Any:
        columns = ["Table_id", "Table_name", "Database_name", "Storage_type", "Rows"]
        return columns, [
            (str(i), name, session.database, "memory", str(t.online_rows)) for i, (name, t) in enumerate(self._tables(session).items())
        ]

    def _set(self, session: Connection, name: str, value: str) -> None:
        session.variables[name.lower()] = value

    def _load(self, session: Connection, path: str, name: str, options: str) -> Any:
        tables, online = self._tables(session), session.variables["execute_mode"] == "online"
        if name not in tables:
            raise DatabaseError(f"table {name} does not exist")
        mode = re.search(r"mode='(\w+)'", options)
        if online and (mode is None or mode[1] != "append"):
            raise DatabaseError("load data failed: online only supports mode='append'")
        if online and "deep_copy" in options:
            raise DatabaseError("load data failed: online does not support deep_copy")

        def done() -> None:
            if online:
                tables[name].online_rows += 10
            else:
                tables[name].offline, tables[name].deep_copy = path, "deep_copy=false" not in options

        return self._start(
            session, "ImportOnlineData" if online else "ImportOfflineData", f"INTO TABLE {name} {'online' if online else 'offline'}", done
        )

    def _select_into(self, session: Connection, query: str, path: str, options: str) -> Any:
        if session.variables["execute_mode"] != "offline":
            raise DatabaseError("in online mode the result would be saved by the client")
        missing = [name for name, table in self._tables(session).items() if table.offline is None]
        if missing:
            raise DatabaseError(f"no offline data: {missing}")
        if "format='parquet'" not in options or "mode='overwrite'" not in options:
            raise DatabaseError(f"the test expects Parquet: {options}")
        return self._start(session, "ExportOfflineData", "INTO OUTFILE", lambda: self.output(Path(path.removeprefix("file://"))))

    def _start(self, session: Connection, kind: str, what: str, done: Callable[[], None]) -> Any:
        if session.variables["sync_job"] != "false":
            raise DatabaseError("a test must not wait inside the SDK")
        end, error, log = next((outcome for part, outcome in self.failing.items() if part in what), ("FINISHED", None, ""))
        job = self.jobs[len(self.jobs) + 1] = Job(len(self.jobs) + 1, kind, [*self.running, end], error, log, done)
        return JOB_COLUMNS, [job.look()]

    def _show_job(self, session: Connection, number: str) -> Any:
        job = self.jobs.get(int(number))
        if job is None or job.component != "TaskManager":
            raise DatabaseError(f"Job not found: {number}")
        return JOB_COLUMNS, [job.look()]

    def _show_nameserver_job(self, session: Connection, number: str) -> Any:
        job = self.jobs.get(int(number))
        return JOB_COLUMNS, [job.look()] if job is not None and job.component == "NameServer" else []

    def _show_log(self, session: Connection, number: str) -> Any:
        return ["!%$FORMAT_STRING_KEY"], [(f"Stdout:\n\nStderr:\n{self.jobs[int(number)].log}",)]

    def _stop(self, session: Connection, number: str) -> Any:
        self.stopped.append(int(number))
        self.jobs[int(number)].states = ["KILLED"]
        return JOB_COLUMNS, [self.jobs[int(number)].look()]

    def _show_deployments(self, session: Connection) -> Any:
        self._tables(session)
        return ["DB", "Deployment"], [(session.database, name) for name in self.deployments]

    def _show_deployment(self, session: Connection, name: str) -> Any:
        if name not in self.deployments:
            raise DatabaseError("not found")
        options, query = self.deployments[name]
        rule = " ----- ------------- "
        lines = [rule, "  DB    Deployment   ", rule, f"  {session.database}   {name} ", rule, "1 row in set"]
        lines += [" " + "-" * 80 + " ", "  SQL" + " " * 76, " " + "-" * 80 + " "]
        lines += [f"  DEPLOY {name}{options} {query};" + " " * 7, " " + "-" * 80 + " ", "1 row in set", "# Input Schema", " --- ------- "]
        return ["!%$FORMAT_STRING_KEY"], [("\n".join(lines),)]

    def _drop_deployment(self, session: Connection, name: str) -> None:
        if name not in self.deployments:
            raise DatabaseError("deployment not found")
        del self.deployments[name]

    def _deploy(self, session: Connection, name: str, options: str | None, query: str) -> Any:
        if session.variables["execute_mode"] != "online":
            raise DatabaseError("Can not deploy in offline mode, please set @@SESSION.execute_mode='online'")
        if name in self.deployments:
            raise DatabaseError(f"ns create procedure failed: {name} already exists")
        given = {name: value for name, _, value in re.findall(r"""(\w+)=(['"])(.*?)\2""", options or "")}
        shown = ", ".join(f'{key.upper()}="{value}"' for key, value in given.items())
        filled = any(table.online_rows for table in self._tables(session).values())
        if filled and "LONG_WINDOWS" in given:
            raise DatabaseError("table has online data, cannot deploy with long_windows option")

        def done() -> None:
            self.deployments[name] = (f" OPTIONS({shown})" if shown else "", self.unparse(query))

        if not filled or given.get("SYNC", "true").lower() != "false":
            done()
            return None
        end = next((outcome[0] for part, outcome in self.failing.items() if part in query), "FINISHED")
        job = Job(len(self.jobs) + 1, "kDeployOP", ["Submitted", "RUNNING", end], done=done, component="NameServer")
        self.jobs[job.number] = job
        return ["job_id"], [(job.number,)]


class Connection:
    """A session."""

    def __init__(self, cluster: Cluster):
        self.cluster, self.database, self.closed = cluster, None, False
        self.variables = {"execute_mode": "online", "sync_job": "false", "job_timeout": "60000"}  # as the SDK leaves them
        self.database: str | None

    def cursor(self) -> Cursor:
        return Cursor(self)

    def close(self) -> None:
        self.closed = True


class Cursor:
    """A DB-API cursor: `description` is None after a statement without rows, and `fetchall` fails then."""

    def __init__(self, connection: Connection):
        self.connection, self.description, self._rows = connection, None, None
        self._open = True

    def execute(self, operation: str) -> Any:
        if self.connection.closed or not self._open:
            raise DatabaseError("Connection object is closed")
        answer = self.connection.cluster.answer(self.connection, operation)
        if answer is None:
            return None
        names, self._rows = answer
        self.description = [(name, 7, None, None, None, None, True) for name in names]
        return self

    def fetchall(self) -> list[tuple[Any, ...]]:
        if self._rows is None:
            raise DatabaseError("resultset is not set")
        return self._rows

    def close(self) -> None:
        self._open = False

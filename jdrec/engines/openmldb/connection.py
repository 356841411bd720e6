"""One session with a cluster through the SDK's DB-API. Statements go one at a time; nothing secret leaves in a message.

Source: OpenMLDB documentation, "Python SDK" (OpenMLDB DBAPI).
"""

from __future__ import annotations

import importlib.util
import logging
from contextlib import suppress
from typing import Any

from jdrec.engines.openmldb.errors import ClusterError, LostConnection
from jdrec.engines.openmldb.settings import Settings
from jdrec.errors import MissingExtra

log = logging.getLogger(__name__)

Row = dict[str, Any]


def load_dbapi() -> Any:
    """The SDK's DB-API module.

    Raises:
        MissingExtra: it is not installed.
    """
    if importlib.util.find_spec("openmldb") is None:
        raise MissingExtra("The OpenMLDB SDK", "openmldb", where="engine")
    logging.getLogger("OpenMLDB_sdk").setLevel(logging.WARNING)  # at INFO it logs the arguments of connect, the password too
    import openmldb.dbapi

    return openmldb.dbapi


class Session:
    """A connection; use it in a `with` statement.

    Raises:
        MissingExtra: the SDK is not installed.
        LostConnection: the cluster cannot be reached, or refuses the login.
    """

    def __init__(self, settings: Settings):
        self.redact = settings.redactor()
        self.is_cluster = settings.is_cluster
        dbapi = load_dbapi()
        reason = None
        try:
            self._connection = dbapi.connect(**settings.parameters())
        except Exception as error:  # the SDK raises bare exceptions, whose text holds the password
            reason = _reason(self.redact(str(error)))
        if reason is not None:  # outside of the handler, so that the SDK's exception is not kept as its context
            raise LostConnection(
                f"cannot connect to OpenMLDB: {reason}",
                where="openmldb.cluster",
                hint="Check the address, the ZooKeeper path, user and password, and that the cluster is up.",
            )

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the session; jobs that run on the cluster go on."""
        with suppress(Exception):
            self._connection.close()

    def execute(self, statement: str) -> list[Row]:
        """Runs one statement and returns its rows, column name to value; no rows for one that answers nothing.

        Raises:
            ClusterError: the cluster refuses the statement or does not answer.
        """
        log.debug("statement: %s", statement)
        reason = None
        try:
            cursor = self._connection.cursor()  # a cursor keeps the rows of its last answer: each statement gets its own
            try:
                cursor.execute(statement)
                if cursor.description is None:
                    return []
                names = [column[0] for column in cursor.description]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            finally:
                with suppress(Exception):
                    cursor.close()
        except Exception as error:
            reason = self.redact(str(error))
        raise ClusterError(f"OpenMLDB fails at {_shown(statement)}: {_sentence(reason)}")

    def text(self, statement: str) -> str:
        """The answer of a statement that answers with a text, such as SHOW JOBLOG: its parts, joined by line ends."""
        return self.redact("\n".join(str(value) for row in self.execute(statement) for value in row.values() if value is not None))


def _shown(statement: str) -> str:
    """A statement in a message: its first words."""
    line = " ".join(statement.split())
    return f"`{line}`" if len(line) <= 100 else f"`{line[:97]}...`"


def _reason(text: str) -> str:
    """The SDK appends the arguments of `connect` to its complaint; the complaint alone is of use."""
    return _sentence(text.partition(" with {")[0])


def _sentence(text: str) -> str:
    """A text that advice can follow."""
    return text if text.endswith((".", "!", "?")) else f"{text.rstrip()}."

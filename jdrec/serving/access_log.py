"""One JSON object a line for each call: what was asked, how it ended, where its time went."""

from __future__ import annotations

import logging
import logging.handlers
import re
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jdrec.config import AccessLogConfig

_SANE = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")


def request_id(given: bytes | None) -> str:
    """The caller's X-Request-ID if it is sane (a short word that no log or header can trip over), else a new one."""
    if given is not None and _SANE.fullmatch(given):
        return given.decode()
    return secrets.token_hex(8)


class AccessLog:
    """Writes lines to a file that is rotated by size, or to standard error.

    Args:
        folder: where a relative file goes.
    """

    def __init__(self, config: AccessLogConfig, folder: Path):
        self._handler: logging.Handler | None = None
        if config.file == "-":
            self._handler = logging.StreamHandler(sys.stderr)
        elif config.file is not None:
            file = folder / config.file
            file.parent.mkdir(parents=True, exist_ok=True)
            self._handler = logging.handlers.RotatingFileHandler(file, maxBytes=config.max_bytes, backupCount=config.backups, delay=True)

    @property
    def on(self) -> bool:
        return self._handler is not None

    def write(self, line: dict[str, Any]) -> None:
        """Writes an object; failures to write (a full disk) are the log's own and reach nobody."""
        if self._handler is None:
            return
        import orjson

        record = logging.LogRecord("jdrec.access", logging.INFO, "", 0, orjson.dumps(line).decode(), None, None)
        self._handler.handle(record)

    def close(self) -> None:
        if self._handler is not None:
            self._handler.close()

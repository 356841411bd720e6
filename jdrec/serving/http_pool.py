"""HTTP/1.1 over kept connections to one server, with as little in between as asyncio allows: the way to Triton.

A general client spends more time on a call than Triton does on a small one. The parser is httptools', which uvicorn brings along.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass
class Answer:
    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)  # names in lower case
    body: bytes = b""


class _Connection(asyncio.Protocol):
    """One connection; one call at a time."""

    def __init__(self) -> None:
        import httptools

        self._new_parser = httptools.HttpResponseParser
        self._transport: asyncio.Transport
        self._waiting: asyncio.Future[Answer] | None = None
        self.lost = False
        self.answered = 0

    def ask(self, head: bytes, body: bytes) -> asyncio.Future[Answer]:
        self._parser, self._answer, self._begun = self._new_parser(self), Answer(), False
        self._chunks: list[bytes] = []
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.writelines((head, body))
        return self._waiting

    def close(self) -> None:
        self._transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        self._fail(_Stale() if self.answered and not self._begun else ConnectionError("it closed the connection"))

    def data_received(self, data: bytes) -> None:
        import httptools

        if self._waiting is None:  # it speaks without having been asked
            self._transport.abort()
            return
        self._begun = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionError(f"its answer is not HTTP: {error}"))
            self._transport.abort()

    def _fail(self, error: Exception) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)
        self._waiting = None

    # --- the parser's calls -------------------------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)

    def on_message_complete(self) -> None:
        answer, waiting = self._answer, self._waiting
        answer.status, answer.body = self._parser.get_status_code(), b"".join(self._chunks)
        self.answered += 1
        if not self._parser.should_keep_alive():
            self.lost = True
            self._transport.close()
        self._waiting = None
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)


class _Stale(ConnectionError):
    """A kept connection was closed before it began to answer: the server may have restarted."""


class Pool:
    """Calls to one server; safe to repeat, since one that meets a connection that went stale is sent once more.

    Args:
        address: host:port.
        timeout_s: longest wait for a connection, and for an answer.
        connections: most that are open at once; further calls wait.
    """

    def __init__(self, address: str, *, timeout_s: float, connections: int = 64):
        host, _, port = address.removeprefix("http://").rstrip("/").rpartition(":")
        self._host, self._port, self._timeout_s = host.strip("[]"), int(port), timeout_s
        self._head = f"host: {host}:{port}\r\n".encode()
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()
        self._room = asyncio.Semaphore(connections)

    async def ask(self, method: str, path: str, body: bytes = b"", headers: bytes = b"", timeout_s: float | None = None) -> Answer:
        """Sends one call.

        Args:
            headers: further header lines, each ended by CR LF.

        Raises:
            OSError: no connection, or it was lost; asyncio.TimeoutError: no answer in time.
        """
        head = b"%b %b HTTP/1.1\r\n%b%bcontent-length: %d\r\n\r\n" % (method.encode(), path.encode(), self._head, headers, len(body))
        async with self._room:
            while True:
                kept = self._take()
                connection = kept or await self._connect()
                try:
                    return await self._ask(connection, head, body, timeout_s or self._timeout_s)
                except _Stale:
                    continue

    def close(self) -> None:
        for connection in [*self._idle, *self._busy]:
            connection.close()
        self._idle.clear()

    def _take(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.lost:
                return connection
        return None

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        opening = loop.create_connection(_Connection, self._host, self._port)
        _, connection = await asyncio.wait_for(opening, self._timeout_s)
        return connection

    async def _ask(self, connection: _Connection, head: bytes, body: bytes, timeout_s: float) -> Answer:
        self._busy.add(connection)
        waiting = connection.ask(head, body)
        timer = asyncio.get_running_loop().call_later(timeout_s, _expire, waiting)
        try:
            answer = await waiting
        except BaseException:  # also a cancelled call: its answer would be taken for the next one's
            connection.close()
            raise
        finally:
            timer.cancel()
            self._busy.discard(connection)
        if not connection.lost:
            self._idle.append(connection)
        return answer


def _expire(waiting: asyncio.Future[Answer]) -> None:
    if not waiting.done():
        waiting.set_exception(asyncio.TimeoutError("no answer in time"))

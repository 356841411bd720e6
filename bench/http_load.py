"""A load generator that costs little: it shares the two cores with what it measures.

    python bench/http_load.py URL BODIES --rate 100 --seconds 10        calls at fixed times, however long answers take
    python bench/http_load.py URL BODIES --connections 32 --seconds 10  each connection asks again as soon as it is answered

BODIES is a file with one JSON body a line. Prints one JSON object. Latency of a call at a fixed time counts from that time, so a service that
stalls does not hide it.
"""

from __future__ import annotations

import asyncio
import json
import resource
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import common


class Connection(asyncio.Protocol):
    """One kept connection; one call at a time."""

    def connection_made(self, transport: Any) -> None:
        self.transport, self.buffer = transport, b""
        self.waiting: asyncio.Future[int] | None = None

    def ask(self, request: bytes) -> asyncio.Future[int]:
        """The status of the answer; 0 where the connection was lost."""
        self.waiting = asyncio.get_running_loop().create_future()
        if self.transport.is_closing():
            self.waiting.set_result(0)
        else:
            self.transport.write(request)
        return self.waiting

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        begin = self.buffer.find(b"content-length: ") + 16
        if len(self.buffer) - head - 4 < int(self.buffer[begin : self.buffer.find(b"\r", begin)]):
            return
        status, self.buffer = int(self.buffer[9:12]), b""
        if self.waiting and not self.waiting.done():
            self.waiting.set_result(status)

    def connection_lost(self, error: Exception | None) -> None:
        if self.waiting and not self.waiting.done():
            self.waiting.set_result(0)


class Load:
    """Sends bodies to a URL and keeps what came back."""

    def __init__(self, url: str, bodies: list[bytes]):
        self.address = urlsplit(url)
        path = self.address.path + (f"?{self.address.query}" if self.address.query else "")
        head = f"POST {path} HTTP/1.1\r\nhost: {self.address.netloc}\r\ncontent-type: application/json\r\ncontent-length: "
        self.requests = [head.encode() + b"%d\r\n\r\n" % len(body) + body for body in bodies]
        self.seconds: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.sent = 0
        self.idle: list[Connection] = []

    async def connect(self) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(Connection, self.address.hostname, self.address.port)
        return connection

    async def call(self, connection: Connection, since: float) -> int:
        self.sent += 1
        status = await connection.ask(self.requests[self.sent % len(self.requests)])
        self.seconds.append(time.perf_counter() - since)
        self.statuses[status] += 1
        return status

    async def at_rate(self, rate: float, duration: float) -> None:
        begin, calls = time.perf_counter(), []
        for number in range(int(rate * duration)):
            due = begin + number / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            calls.append(asyncio.ensure_future(self._one(due)))
        await asyncio.gather(*calls)

    async def _one(self, due: float) -> None:
        while self.idle and self.idle[-1].transport.is_closing():  # idle for so long that the service has closed it
            self.idle.pop()
        connection = self.idle.pop() if self.idle else await self.connect()
        if await self.call(connection, due):
            self.idle.append(connection)

    async def saturate(self, connections: int, duration: float) -> None:
        end = time.perf_counter() + duration

        async def again() -> None:
            connection = await self.connect()
            while (now := time.perf_counter()) < end:
                if not await self.call(connection, now):
                    connection = await self.connect()

        await asyncio.gather(*(again() for _ in range(connections)))


def percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def main() -> None:
    arguments = common.parser(__doc__ or "")
    arguments.add_argument("url")
    arguments.add_argument("bodies", type=Path)
    arguments.add_argument("--rate", type=float)
    arguments.add_argument("--connections", type=int, default=16)
    arguments.add_argument("--seconds", type=float, default=10)
    options = arguments.parse_args()
    load = Load(options.url, options.bodies.read_bytes().splitlines())
    try:
        import uvloop

        uvloop.install()
    except ImportError:
        pass
    begin = time.perf_counter()
    asyncio.run(load.at_rate(options.rate, options.seconds) if options.rate else load.saturate(options.connections, options.seconds))
    elapsed = time.perf_counter() - begin
    usage, ordered = resource.getrusage(resource.RUSAGE_SELF), sorted(load.seconds)
    result = {
        "calls": len(ordered),
        "per_second": len(ordered) / elapsed,
        "statuses": {str(status): count for status, count in sorted(load.statuses.items())},
        "mean_ms": 1e3 * sum(ordered) / max(1, len(ordered)),
        **{f"p{name}_ms": 1e3 * percentile(ordered, share) for name, share in (("50", 0.5), ("90", 0.9), ("99", 0.99), ("99.9", 0.999))},
        "max_ms": 1e3 * (ordered[-1] if ordered else float("nan")),
        "client_cpu_s": usage.ru_utime + usage.ru_stime,
    }
    print(json.dumps(result))
    if options.json:
        common.write("http_load", result, options.json)


if __name__ == "__main__":
    main()

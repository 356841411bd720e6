"""The kept connections to Triton: used again, opened anew, and given up in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytest.importorskip("httptools", reason="needs the serving extra")

from jdrec.serving.http_pool import Pool

ANSWER = b"HTTP/1.1 200 OK\r\nX-Kind: a\r\ncontent-length: 2\r\n\r\nhi"


class Server:
    """Answers each call with what `answers` has next; None: says nothing more, b"": closes."""

    def __init__(self, answers: list[bytes | None]):
        self.answers, self.connections, self.heads = answers, 0, []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            body = await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r")[0]))
            self.heads.append((head, body))
            answer = self.answers.pop(0)
            if answer is None:
                continue
            if not answer:
                writer.close()
                return
            writer.write(answer)


def with_pool(answers: list[bytes | None], use: Callable[[Pool, Server], Awaitable[Any]], timeout_s: float = 5.0) -> Server:
    async def go() -> Server:
        server = Server(answers)
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        pool = Pool(f"127.0.0.1:{listening.sockets[0].getsockname()[1]}", timeout_s=timeout_s)
        try:
            await use(pool, server)
        finally:
            pool.close()
            listening.close()
        return server

    return asyncio.run(go())


def test_calls_one_after_the_other_share_a_connection():
    async def use(pool: Pool, server: Server) -> None:
        for _ in range(3):
            answer = await pool.ask("POST", "/v2/x", b"body", b"a: b\r\n")
            assert (answer.status, answer.headers[b"x-kind"], answer.body) == (200, b"a", b"hi")

    server = with_pool([ANSWER] * 3, use)
    assert server.connections == 1
    head, body = server.heads[0]
    assert head.startswith(b"POST /v2/x HTTP/1.1\r\nhost: 127.0.0.1:") and b"\r\na: b\r\n" in head and body == b"body"


def test_calls_at_once_have_connections_of_their_own():
    async def use(pool: Pool, server: Server) -> None:
        await asyncio.gather(*(pool.ask("GET", "/") for _ in range(4)))

    assert with_pool([ANSWER] * 4, use).connections == 4


def test_a_kept_connection_that_is_closed_instead_of_an_answer_is_opened_anew():
    async def use(pool: Pool, server: Server) -> None:
        await pool.ask("GET", "/")
        assert (await pool.ask("GET", "/")).status == 200

    assert with_pool([ANSWER, b"", ANSWER], use).connections == 2


def test_a_new_connection_that_is_closed_is_a_failure():
    async def use(pool: Pool, server: Server) -> None:
        with pytest.raises(ConnectionError, match="closed the connection"):
            await pool.ask("GET", "/")

    with_pool([b""], use)


def test_an_answer_that_does_not_come_is_given_up_and_its_connection_not_used_again():
    async def use(pool: Pool, server: Server) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await pool.ask("GET", "/")
        assert (await pool.ask("GET", "/")).body == b"hi"

    assert with_pool([None, ANSWER], use, timeout_s=0.2).connections == 2


def test_a_call_that_is_cancelled_leaves_no_answer_for_the_next():
    async def use(pool: Pool, server: Server) -> None:
        call = asyncio.ensure_future(pool.ask("GET", "/"))
        while not server.heads:
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await pool.ask("GET", "/")).body == b"hi"

    assert with_pool([None, ANSWER], use).connections == 2


def test_an_answer_that_is_not_http():
    async def use(pool: Pool, server: Server) -> None:
        with pytest.raises(ConnectionError, match="not HTTP"):
            await pool.ask("GET", "/")

    with_pool([b"hello\r\n\r\n"], use)


def test_an_answer_that_says_that_it_is_the_last():
    async def use(pool: Pool, server: Server) -> None:
        await pool.ask("GET", "/")
        await pool.ask("GET", "/")

    assert with_pool([ANSWER.replace(b"X-Kind: a", b"connection: close")] * 2, use).connections == 2

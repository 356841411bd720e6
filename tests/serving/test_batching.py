"""Rows of concurrent calls go together; calls keep their own answers, errors and limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from jdrec.config import BatchingConfig
from jdrec.errors import DataError
from jdrec.serving.batching import Batcher
from jdrec.serving.failures import Overloaded, Unavailable


class Slow:
    """Doubles numbers; every batch waits until the test lets it go."""

    def __init__(self) -> None:
        self.batches: list[list[list[int]]] = []
        self.go = asyncio.Event()

    async def __call__(self, parts: list[Sequence[int]]) -> list[list[int]]:
        self.batches.append([list(part) for part in parts])
        await self.go.wait()
        if any(number == 13 for part in parts for number in part):
            raise DataError("13 is no number")
        return [[2 * number for number in part] for part in parts]


def run(test: Callable[[], Any]) -> Any:
    return asyncio.run(test())


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_what_arrives_while_others_are_busy_goes_together():
    async def go():
        process = Slow()
        batcher = Batcher(process, BatchingConfig(in_flight=1, max_rows=4))
        first = asyncio.ensure_future(batcher.submit([1]))
        await settle()
        later = [asyncio.ensure_future(batcher.submit([number])) for number in (2, 3, 4, 5, 6)]
        await settle()
        assert batcher.queued_rows == 5
        process.go.set()
        answers = await asyncio.gather(first, *later)
        assert process.batches == [[[1]], [[2], [3], [4], [5]], [[6]]]
        assert answers == [[[2]], [[4]], [[6]], [[8]], [[10]], [[12]]]
        assert batcher.queued_rows == 0

    run(go)


def test_a_large_call_is_split_and_small_ones_go_in_between():
    async def go():
        process = Slow()
        batcher = Batcher(process, BatchingConfig(in_flight=1, max_rows=50))
        large = asyncio.ensure_future(batcher.submit(list(range(200, 320))))
        await settle()
        small = asyncio.ensure_future(batcher.submit([1]))
        await settle()
        process.go.set()
        assert [number for part in await large for number in part] == [2 * number for number in range(200, 320)]
        assert await small == [[2]]
        assert [sum(map(len, batch)) for batch in process.batches] == [50, 1, 50, 20]

    run(go)


def test_a_call_that_cannot_be_computed_fails_alone():
    async def go():
        process = Slow()
        batcher = Batcher(process, BatchingConfig(in_flight=1))
        blocking = asyncio.ensure_future(batcher.submit([0]))
        await settle()
        calls = [asyncio.ensure_future(batcher.submit([number])) for number in (1, 13, 2)]
        await settle()
        process.go.set()
        await blocking
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert (answers[0], answers[2]) == ([[2]], [[4]])
        assert isinstance(answers[1], DataError)

    run(go)


def test_a_failure_of_a_server_is_told_to_every_call_of_the_batch():
    async def go():
        async def process(parts):
            raise Unavailable("gone", kind="triton_unreachable")

        batcher = Batcher(process, BatchingConfig())
        answers = await asyncio.gather(batcher.submit([1]), batcher.submit([2]), return_exceptions=True)
        assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
        assert batcher.idle

    run(go)


def test_more_than_may_wait_is_refused_at_once():
    async def go():
        process = Slow()
        batcher = Batcher(process, BatchingConfig(in_flight=1, max_queued_rows=3))
        calls = [asyncio.ensure_future(batcher.submit([1, 2, 3]))]
        await settle()  # on its way, so it waits no more
        calls.append(asyncio.ensure_future(batcher.submit([1, 2])))
        await settle()
        with pytest.raises(Overloaded, match="2 rows wait"):
            await batcher.submit([1, 2])
        calls.append(asyncio.ensure_future(batcher.submit([3])))
        process.go.set()
        assert await asyncio.gather(*calls) == [[[2, 4, 6]], [[2, 4]], [[6]]]

    run(go)


def test_a_call_that_was_given_up_is_not_computed():
    async def go():
        process = Slow()
        batcher = Batcher(process, BatchingConfig(in_flight=1))
        first, second, third = (asyncio.ensure_future(batcher.submit([number])) for number in (1, 2, 3))
        await settle()
        late = [asyncio.ensure_future(batcher.submit([number])) for number in (4, 5)]
        await settle()
        late[0].cancel()
        process.go.set()
        assert await asyncio.gather(first, second, third, late[1]) == [[[2]], [[4]], [[6]], [[10]]]
        assert process.batches == [[[1], [2], [3]], [[5]]]
        assert batcher.queued_rows == 0

    run(go)


def test_a_delay_gathers_calls_that_come_a_little_later():
    async def go():
        process = Slow()
        process.go.set()
        batcher = Batcher(process, BatchingConfig(max_delay_ms=50))
        first = asyncio.ensure_future(batcher.submit([1]))
        await asyncio.sleep(0.001)
        await asyncio.gather(first, batcher.submit([2]))
        assert process.batches == [[[1], [2]]]

    run(go)

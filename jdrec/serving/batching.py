"""Puts rows of concurrent calls together, so that features, encoding and Triton see batches.

Nothing waits for company while there is room on the way: a batch is what has gathered while the batches before it were busy. Under light load
a call goes alone and at once; under heavy load batches grow by themselves. `max_delay_ms` can make calls wait a little longer.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from jdrec.config import BatchingConfig
from jdrec.errors import DataError
from jdrec.serving.failures import Overloaded

T = TypeVar("T")
_SMALL = 32  # rows; calls of more give way to smaller ones, turn by turn


class _Part(Generic[T]):
    """Rows of one call that stay together."""

    __slots__ = ("answer", "rows", "since")

    def __init__(self, rows: Sequence[Any], answer: asyncio.Future[T]):
        self.rows, self.answer, self.since = rows, answer, time.perf_counter()


class Batcher(Generic[T]):
    """See the module. All of it runs in one event loop.

    Args:
        process: computes the answers of a batch, one a part: rows of the parts -> answers.
        config: sizes and limits.
        waited: told how long each part has waited, seconds.
    """

    def __init__(
        self,
        process: Callable[[list[Sequence[Any]]], Awaitable[list[T]]],
        config: BatchingConfig,
        waited: Callable[[float], None] = lambda seconds: None,
    ):
        self._process, self._config, self._waited = process, config, waited
        self._small: deque[_Part[T]] = deque()
        self._large: deque[_Part[T]] = deque()
        self._large_is_next = False
        self._timer: asyncio.Handle | None = None
        self._running: set[asyncio.Task[None]] = set()
        self.queued_rows = 0

    @property
    def idle(self) -> bool:
        return not self._running and not self.queued_rows

    async def submit(self, rows: Sequence[Any]) -> list[T]:
        """The answers for a call's rows: one a piece of at most `max_rows` rows, in order.

        Raises:
            Overloaded: too many rows wait already.
            Exception: what `process` raised; rows of other calls do not matter.
        """
        config = self._config
        if self.queued_rows + len(rows) > max(config.max_queued_rows, len(rows) if not self.queued_rows else 0):
            raise Overloaded(f"{self.queued_rows} rows wait to be scored.", kind="queue_full")
        loop = asyncio.get_running_loop()
        parts = [
            _Part(rows[begin : begin + config.max_rows] if len(rows) > config.max_rows else rows, loop.create_future())
            for begin in range(0, len(rows), config.max_rows)
        ]
        (self._small if len(rows) <= _SMALL else self._large).extend(parts)
        self.queued_rows += len(rows)
        if self._timer is None and len(self._running) < config.in_flight:
            delay = config.max_delay_ms / 1000
            self._timer = loop.call_later(delay, self._start) if delay else loop.call_soon(self._start)
        try:
            if len(parts) == 1:
                return [await parts[0].answer]
            return list(await asyncio.gather(*(part.answer for part in parts)))
        finally:
            for part in parts:  # of a call that was given up
                part.answer.cancel()

    def _start(self) -> None:
        self._timer = None
        while len(self._running) < self._config.in_flight:
            batch = self._take()
            if not batch:
                return
            task = asyncio.get_running_loop().create_task(self._run(batch))
            self._running.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if self.queued_rows and self._timer is None:
            self._start()

    def _take(self) -> list[_Part[T]]:
        """The next batch; calls that were given up are left out."""
        queue = self._large if self._large and (self._large_is_next or not self._small) else self._small
        self._large_is_next = queue is self._small
        batch: list[_Part[T]] = []
        size, now = 0, time.perf_counter()
        while queue and size + len(queue[0].rows) <= self._config.max_rows:
            part = queue.popleft()
            self.queued_rows -= len(part.rows)
            if not part.answer.done():
                batch.append(part)
                size += len(part.rows)
                self._waited(now - part.since)
        return batch or (self._take() if self._small or self._large else batch)

    async def _run(self, batch: list[_Part[T]]) -> None:
        try:
            answers = await self._process([part.rows for part in batch])
        except DataError as error:
            if len(batch) == 1:
                _refuse(batch, error)
            else:
                for part in batch:  # one call's rows are no other call's fault
                    await self._run([part])
        except asyncio.CancelledError:
            _refuse(batch, Overloaded("The service stops.", kind="stopping"))
            raise
        except Exception as error:
            _refuse(batch, error)
        else:
            for part, answer in zip(batch, answers, strict=True):
                if not part.answer.done():
                    part.answer.set_result(answer)


def _refuse(batch: list[_Part[T]], error: Exception) -> None:
    for part in batch:
        if not part.answer.done():
            part.answer.set_exception(error)

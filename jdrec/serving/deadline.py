"""A limit of time for a block of a coroutine, at the price of one timer."""

from __future__ import annotations

import asyncio
from types import TracebackType


class DeadlineExceeded(Exception):
    """The block took too long."""


class Deadline:
    """`with Deadline(seconds):` raises DeadlineExceeded inside the block, at an await, when the time is over."""

    def __init__(self, seconds: float):
        self._seconds, self._expired = seconds, False

    def __enter__(self) -> Deadline:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._expire)
        return self

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._timer.cancel()
        if self._expired and kind is asyncio.CancelledError:
            if hasattr(self._task, "uncancel"):
                self._task.uncancel()
            raise DeadlineExceeded from None

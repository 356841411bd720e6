"""Reading the next batch and writing the last one beside the work on this one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The items, each made in a thread while its user works on the one before."""
    end = object()
    with ThreadPoolExecutor(1, "ahead") as pool:
        waiting: Future[Any] = pool.submit(next, items, end)
        while (item := waiting.result()) is not end:
            waiting = pool.submit(next, items, end)
            yield item


class Behind:
    """A context that runs calls one after the other in a thread; one runs and none waits. What a call raises comes from the next or from the end."""

    def __enter__(self) -> Behind:
        self._pool = ThreadPoolExecutor(1, "behind")
        self._running: Future[Any] | None = None
        return self

    def run(self, call: Callable[..., Any], *arguments: Any) -> None:
        """Runs a call, as soon as the one before is done."""
        if self._running is not None:
            self._running.result()
        self._running = self._pool.submit(call, *arguments)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._pool.shutdown(wait=True)
        if kind is None and self._running is not None:
            self._running.result()

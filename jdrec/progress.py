"""Progress of long work: a live display on a terminal, lines in the log otherwise."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

log = logging.getLogger(__name__)

_LOG_EVERY_S = 30.0


class Task:
    """One piece of long work. `advance` and `update` may be called often; display is throttled."""

    def __init__(self, name: str, total: float | None, live: Any = None):
        self.name, self.total, self.done = name, total, 0.0
        self._live = live
        self._id = live.add_task(name, total=total, note="") if live is not None else None
        self._last_log = time.monotonic()

    def advance(self, amount: float = 1, note: str | None = None) -> None:
        self.update(self.done + amount, note)

    def update(self, done: float, note: str | None = None) -> None:
        """Sets how much is done, with an optional note such as "loss 0.31 · auc 0.71"."""
        self.done = done
        if self._live is not None:
            self._live.update(self._id, completed=done, **({"note": note} if note is not None else {}))
        elif time.monotonic() - self._last_log >= _LOG_EVERY_S:
            self._last_log = time.monotonic()
            share = f" {100 * done / self.total:.0f} %" if self.total else f" {done:,.0f}"
            log.info("%s:%s%s", self.name, share, f" ({note})" if note else "")


class Progress:
    """Hands out tasks. On a terminal they are live bars; elsewhere a long task logs a line every half minute."""

    def __init__(self, live: bool | None = None):
        self._on = sys.stderr.isatty() if live is None else live
        self._live: Any = None

    @classmethod
    def silent(cls) -> Progress:
        return cls(live=False)

    @contextmanager
    def task(self, name: str, total: float | None = None) -> Iterator[Task]:
        """A task of `total` units (None: unknown)."""
        if not self._on:
            yield Task(name, total)
            return
        outermost = self._live is None
        if outermost:
            self._live = _make_live()
            self._live.start()
        task = Task(name, total, self._live)
        try:
            yield task
        finally:
            self._live.remove_task(task._id)
            if outermost:
                self._live.stop()
                self._live = None


def _make_live() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    return RichProgress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
        transient=True,
    )

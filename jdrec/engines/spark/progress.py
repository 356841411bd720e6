"""How far Spark is: its stages and their tasks, asked for while a job runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jdrec.progress import Progress

log = logging.getLogger(__name__)

_EVERY_S = 0.5


@contextmanager
def show_stages(spark: Any, progress: Progress, name: str) -> Iterator[None]:
    """Shows the stages of the Spark jobs that run inside the `with` block, in a task called `name`."""
    tracker = spark.sparkContext.statusTracker()
    with progress.task(name) as task:
        done = threading.Event()

        def watch() -> None:
            finished: set[int] = set()
            while not done.wait(_EVERY_S):
                try:
                    active = [info for stage in tracker.getActiveStageIds() if (info := tracker.getStageInfo(stage)) is not None]
                except Exception as error:  # Spark is going away; the job itself will say why
                    log.debug("no progress from Spark: %s", error)
                    return
                finished |= {info.stageId for info in active}
                task.update(len(finished), describe(active))

        thread = threading.Thread(target=watch, name="spark-progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(timeout=10)


def describe(active: list[Any]) -> str | None:
    """The running stages in words, e.g. "stage 7: 120/200 tasks"; None when there is none."""
    parts = [f"stage {info.stageId}: {info.numCompletedTasks:,}/{info.numTasks:,} tasks" for info in active]
    return ", ".join(parts) or None

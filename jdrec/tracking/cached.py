"""task=cache: what the cache of stage results holds, and pruning it."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from jdrec.cache import Cache, Entry
from jdrec.config import CacheConfig
from jdrec.tracking.console import console

log = logging.getLogger(__name__)

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def show(config: CacheConfig) -> None:
    """Lists the results, the least recently used ones first, and with cache.prune removes those that the other keys name."""
    cache, now = Cache(Path(config.dir)), time.time()
    entries = cache.entries()
    doomed = to_prune(entries, config, now)
    _print(entries, doomed, config.dir, now)
    if config.prune:
        removed = [entry for entry in doomed if cache.remove(entry)]
        leftovers = cache.remove_leftovers()
        log.info("removed %s results, %s, and what %s killed runs left", len(removed), _size(removed), leftovers)
    elif doomed:
        log.info("cache.prune=true removes %s of them, %s", len(doomed), _size(doomed))


def to_prune(entries: Sequence[Entry], config: CacheConfig, now: float) -> list[Entry]:
    """Results that were not used for `older_than`, and the least recently used ones until the rest fits `max_size_mb`."""
    oldest = now - int(config.older_than[:-1]) * _SECONDS[config.older_than[-1]] if config.older_than else None
    room = config.max_size_mb * 2**20 if config.max_size_mb is not None else None
    left = sum(entry.size for entry in entries)
    doomed = []
    for entry in entries:  # least recently used first
        if (oldest is not None and entry.used <= oldest) or (room is not None and left > room):
            doomed.append(entry)
            left -= entry.size
    return doomed


def _print(entries: Sequence[Entry], doomed: Sequence[Entry], place: str, now: float) -> None:
    from rich.table import Table

    table = Table(title=f"{place}: {len(entries)} results, {_size(entries)}")
    for title in ("stage", "key", "MiB", "made", "used", "what", ""):
        table.add_column(title, justify="right" if title in ("MiB", "made", "used") else "left", overflow="fold")
    for entry in entries:
        ages = [_age(now - moment) for moment in (entry.made, entry.used)]
        table.add_row(
            entry.stage, entry.key[:8], f"{entry.size / 2**20:,.1f}", *ages, entry.summary, "to remove" if entry in doomed else ""
        )
    console().print(table)


def _size(entries: Sequence[Entry]) -> str:
    return f"{sum(entry.size for entry in entries) / 2**20:,.1f} MiB"


def _age(seconds: float) -> str:
    unit = next((name for name in "dhm" if seconds >= _SECONDS[name]), "s")
    return f"{seconds / _SECONDS[unit]:.0f} {unit}"

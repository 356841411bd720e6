"""Opens the online store that a configuration describes: in memory, or a durable folder that is filled once and recovered ever after."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from jdrec.errors import DataError, OnlineError, nearest
from jdrec.online.ttl import TimeToLives
from jdrec.progress import Progress

if TYPE_CHECKING:
    from jdrec.config import Config
    from jdrec.dataset.tables import TableSet
    from jdrec.features.spec import FeatureSet
    from jdrec.online.journal import Journal
    from jdrec.online.session import RequestSession

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recovery:
    """What was read from a durable store, and how long that took.

    Attributes:
        dropped: inserts that were given up because their records were damaged.
    """

    rows: int
    seconds: float
    dropped: int


def open_session(config: Config, feature_set: FeatureSet, tables: TableSet | None, progress: Progress | None = None) -> RequestSession:
    """The session of `config.online`.

    Args:
        tables: what a store in memory, or a durable one at its first start, is filled from; a durable store that has been filled needs none.

    Raises:
        CheckError: a feature that the embedded engine does not compute.
        DataError: tables that cannot be used.
        OnlineError: the folder is in use, damaged, or holds other tables; or the disk is full.
    """
    from jdrec.online.session import RequestSession

    online, progress = config.online, progress or Progress.silent()
    _check_names(config, feature_set)
    options: dict[str, Any] = {
        "ttls": TimeToLives(online.ttl, feature_set),
        "max_memory_bytes": online.max_memory_mb << 20,
        "progress": progress,
    }
    if online.dir is None:
        if tables is None:
            raise OnlineError("there is nothing to fill a store in memory from.", where="online.dir", kind="mismatch")
        return RequestSession(feature_set, tables, preload=online.preload, **options)
    from jdrec.online.journal import Journal

    journal = Journal(Path(online.dir), feature_set, fsync=online.fsync, drop_damaged=online.drop_damaged)
    try:
        _fill(config, journal, feature_set, tables, progress)
        return _recovered(journal, feature_set, options)
    except BaseException:
        journal.close()
        raise


def _fill(config: Config, journal: Journal, feature_set: FeatureSet, tables: TableSet | None, progress: Progress) -> None:
    """Writes the tables that are not there yet."""
    from jdrec.dataset.tables import tables_read

    for name in tables_read(feature_set):
        if journal.is_loaded(name):
            continue
        wanted = config.online.preload is None or name in config.online.preload
        if wanted and tables is None:
            raise OnlineError(f"{config.online.dir} does not hold the table {name!r} yet.", where="online.dir", kind="mismatch")
        start = time.perf_counter()
        rows = journal.load(name, tables[name] if wanted and tables is not None else None, progress)
        log.info("stored %s rows of %s in %.1f s", f"{rows:,}", name, time.perf_counter() - start)


def _recovered(journal: Journal, feature_set: FeatureSet, options: dict[str, Any]) -> RequestSession:
    from jdrec.dataset.tables import TableSet, tables_read
    from jdrec.online.journal import JournalTables
    from jdrec.online.session import RequestSession

    start = time.perf_counter()
    ttls: TimeToLives = options["ttls"]
    for name in feature_set.tables:
        age_ms = ttls.longest_age_ms(name)
        if age_ms and (purged := journal.purge(name, int(time.time() * 1000) - age_ms)):
            log.info("removed %s expired records of %s", f"{purged:,}", name)
    merged = journal.compact()
    if merged:
        log.info("made large records of %s small ones", f"{merged:,}")
    counts = journal.rows()
    names = tables_read(feature_set)
    total = sum(counts.get(name, 0) for name in names)
    with options["progress"].task("recover", total=total) as task:
        tables = cast(TableSet, JournalTables(journal, feature_set, names, task))
        session = RequestSession(feature_set, tables, journal=journal, **options)
    seconds = time.perf_counter() - start
    session.recovery = Recovery(total, seconds, journal.dropped)
    log.info("recovered %s rows in %.1f s (%.2f s a million)", f"{total:,}", seconds, seconds / max(total, 1) * 1e6)
    return session


def _check_names(config: Config, feature_set: FeatureSet) -> None:
    online = config.online
    for where, names in (("online.ttl", online.ttl if isinstance(online.ttl, dict) else {}), ("online.preload", online.preload or [])):
        for name in names:
            if name not in feature_set.tables:
                raise DataError(f"there is no table {name!r}.", where=where, hint=nearest(name, feature_set.tables))

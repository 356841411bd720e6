"""Parquet files of what was scored: requests, features, ids, scores. Written by a thread of its own, bounded in memory and on disk.

    <dir>/requests-<UTC time of its first row>-<number>.parquet     in order of arrival by name; a file appears whole, by one rename

A row is a scored request row, in the order in which it was scored. Columns: request_id, received (timestamp[ms, UTC]), row (its place in the
call), model, version, score (float), stored (bool; NULL: not asked for), ids (list of int64, Triton's INPUT_0), request.<column> for each column
of the request table and feature.<feature> for each feature. The schema's metadata has jdrec.format and jdrec.feature_set, a hash of features.json.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jdrec.serving.definition import describe

if TYPE_CHECKING:
    import pyarrow as pa

    from jdrec.config import RequestLogConfig
    from jdrec.features.spec import FeatureSet
    from jdrec.serving.pipeline import Scored
    from jdrec.serving.rows import Row

log = logging.getLogger(__name__)

FORMAT = 1
_NAME = re.compile(r"requests-\d{8}T\d{6}\.\d{3}Z-\d{6}\.parquet")
_ROW_GROUP = 10_000
_LOOK_S = 1.0


@dataclass(frozen=True)
class Entry:
    """A scored call: `parts` follow each other in `rows`."""

    request_id: str
    received_ms: int
    model: str
    version: int
    rows: list[Row]
    parts: list[Scored]


class RequestLog:
    """See the module. As a context manager it writes between entry and exit.

    Raises:
        OSError: the folder cannot be made.
    """

    def __init__(self, folder: Path, feature_set: FeatureSet, config: RequestLogConfig):
        self._folder, self._feature_set, self._config = folder, feature_set, config
        self._dropped: Callable[[int], object] = lambda rows: None
        self._waiting: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._waiting_rows = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="request-log", daemon=True)
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(".requests-*.tmp"):  # of a service that was killed
            left.unlink(missing_ok=True)

    def __enter__(self) -> RequestLog:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._waiting.put(None)
        self._thread.join()

    def on_drop(self, told: Callable[[int], object]) -> None:
        """`told` hears how many rows were left out, since too many waited or the disk was full."""
        self._dropped = told

    def add(self, entry: Entry) -> None:
        """Hands a call over; never waits, and leaves it out where too many wait."""
        with self._lock:
            if self._waiting_rows + len(entry.rows) > self._config.max_waiting_rows:
                full = True
            else:
                full, self._waiting_rows = False, self._waiting_rows + len(entry.rows)
        if full:
            self._dropped(len(entry.rows))
        else:
            self._waiting.put(entry)

    # --- the thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        file: _File | None = None
        number, alive = 0, True
        while alive:
            entries, alive = self._gather()
            try:
                if entries:
                    if file is None:
                        number += 1
                        file = _File(self._folder, self._feature_set, entries[0].received_ms, number)
                    file.write(entries)
                if file and (not alive or file.rows >= self._config.rows_per_file or file.age_s >= self._config.seconds_per_file):
                    file.close()
                    file = None
                    self._remove_oldest()
            except Exception:  # a full disk: predictions matter more
                log.exception("the request log can't be written; %d calls are left out", len(entries))
                self._dropped(sum(len(entry.rows) for entry in entries))
                if file:
                    file.abandon()
                    file = None
        # nothing is left: `alive` is False only after the last entry was gathered

    def _gather(self) -> tuple[list[Entry], bool]:
        """Entries of about one row group, or those of a second; and whether there will be more."""
        entries: list[Entry] = []
        rows, until = 0, time.monotonic() + _LOOK_S
        while rows < _ROW_GROUP and (left := until - time.monotonic()) > 0:
            try:
                entry = self._waiting.get(timeout=left)
            except queue.Empty:
                break
            if entry is None:
                return entries, False
            entries.append(entry)
            rows += len(entry.rows)
            with self._lock:
                self._waiting_rows -= len(entry.rows)
        return entries, True

    def _remove_oldest(self) -> None:
        for file in files(self._folder)[: -self._config.max_files]:
            file.unlink(missing_ok=True)


class _File:
    """The file that is being written, under a hidden name."""

    def __init__(self, folder: Path, feature_set: FeatureSet, first_ms: int, number: int):
        import pyarrow.parquet as pq

        moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime(first_ms // 1000))
        self._final = folder / f"requests-{moment}.{first_ms % 1000:03d}Z-{number:06d}.parquet"
        self._staging = folder / f".{self._final.stem}.{os.getpid()}.tmp"
        self._feature_set, self._schema = feature_set, schema(feature_set)
        self._writer = pq.ParquetWriter(self._staging, self._schema, compression="zstd")
        self._begin, self.rows = time.monotonic(), 0

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._begin

    def write(self, entries: list[Entry]) -> None:
        table = _table(entries, self._feature_set, self._schema)
        self._writer.write_table(table)
        self.rows += table.num_rows

    def close(self) -> None:
        self._writer.close()
        os.replace(self._staging, self._final)

    def abandon(self) -> None:
        try:
            self._writer.close()
        except Exception:  # what kept it from being written
            log.debug("closing %s", self._staging, exc_info=True)
        self._staging.unlink(missing_ok=True)


def schema(feature_set: FeatureSet) -> pa.Schema:
    """Columns of the files."""
    import pyarrow as pa

    fields = [
        ("request_id", pa.string()),
        ("received", pa.timestamp("ms", "UTC")),
        ("row", pa.int32()),
        ("model", pa.string()),
        ("version", pa.int32()),
        ("score", pa.float32()),
        ("stored", pa.bool_()),
        ("ids", pa.list_(pa.int64())),
        *((f"request.{name}", type.arrow) for name, type in feature_set.request.columns.items()),
        *((f"feature.{feature.name}", feature.type.arrow) for feature in feature_set.features),
    ]
    return pa.schema(fields, {"jdrec.format": str(FORMAT), "jdrec.feature_set": _hash(feature_set)})


def _hash(feature_set: FeatureSet) -> str:
    text = json.dumps(describe(feature_set), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _table(entries: list[Entry], feature_set: FeatureSet, target: pa.Schema) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    def spread(value: Callable[[Entry], Any]) -> list[Any]:
        return [value(entry) for entry in entries for _ in entry.rows]

    parts = [part for entry in entries for part in entry.parts]
    rows = [row for entry in entries for row in entry.rows]
    ids = np.concatenate([part.ids for part in parts])
    stored = [part.stored for part in parts for _ in part.scores]
    computed = [part.features.columns(feature_set.features) for part in parts]
    columns = [
        pa.array(spread(lambda entry: entry.request_id), pa.string()),
        pa.array(spread(lambda entry: entry.received_ms), pa.int64()).cast(pa.timestamp("ms", "UTC")),
        pa.array([place for entry in entries for place in range(len(entry.rows))], pa.int32()),
        pa.array(spread(lambda entry: entry.model), pa.string()),
        pa.array(spread(lambda entry: entry.version), pa.int32()),
        pa.array(np.concatenate([part.scores for part in parts])),
        pa.array(stored, pa.bool_()),
        pa.ListArray.from_arrays(pa.array(np.arange(len(ids) + 1, dtype=np.int32) * ids.shape[1]), pa.array(ids.reshape(-1))),
        *(pa.array([row[name] for row in rows], type.arrow) for name, type in feature_set.request.columns.items()),
        *(pa.chunked_array([arrays[place] for arrays in computed]) for place in range(len(feature_set.features))),
    ]
    return pa.table(columns, schema=target)


# --- reading ---------------------------------------------------------------------------------------------------------------


def files(folder: Path) -> list[Path]:
    """The finished files, in order of arrival."""
    return sorted(file for file in folder.glob("requests-*.parquet") if _NAME.fullmatch(file.name))


def read(folder: Path) -> Iterator[pa.RecordBatch]:
    """The logged rows in order of arrival."""
    import pyarrow.parquet as pq

    for file in files(folder):
        yield from pq.ParquetFile(file).iter_batches()

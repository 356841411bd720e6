"""task=score: scores every row of a table and writes the best products of each user and the best users of each product."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jdrec.cache import code_version, content_key
from jdrec.errors import DataError, StageError
from jdrec.files import locked, replacing, write_text
from jdrec.score.parts import RANK, ROW, SCORE, Parts, names_of, table_of
from jdrec.score.ranking import ranked
from jdrec.score.source import Chunk, Source

if TYPE_CHECKING:
    import pyarrow as pa

    from jdrec.config import Config
    from jdrec.preprocess.encoder import Encoder
    from jdrec.stages import Run
    from jdrec.training.scoring import Scorer

log = logging.getLogger(__name__)

_CODE = ("features", "dataset", "engines", "online", "preprocess", "models", "training", "score")
_SCORED = 1000  # rows that go through the network together


def score(run: Run) -> None:
    """Scores, ranks, and prints what was written.

    Raises:
        ConfigError: a column is not named, or not there.
        DataError: there are no rows.
        StageError: another process writes to the same folder, or the run has no model.
    """
    start = time.perf_counter()
    source = Source(run)
    config = run.config.score
    out = Path(config.out) if config.out else run.folder / "scores"
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StageError(f"{out} cannot be made: {error.strerror}.", where="score.out") from None
    with _alone(out), _disk_errors(out):
        key = content_key(_content(run, source))[:16]
        parts = Parts(out / "rows", key)
        parts.open()
        rows = _score_chunks(run, source, parts)
        lists = _rank(run.config, source, parts, rows, out, run)
        summary = {
            "model": str(run.checkpoint),
            "content": key,
            "rows": rows,
            "as": source.rows,
            "seconds": round(time.perf_counter() - start, 1),
            "lists": lists,
            "of_each_row": f"rows/{key}" if config.keep_rows else None,
        }
        write_text(out / "score.json", json.dumps(summary, indent=1) + "\n")
        parts.remove_others() if config.keep_rows else parts.remove()
    for name, made in lists.items():
        print(f"{out / name}: {made['rows']:,} rows, {made['groups']:,} of {made['by']!r}")
    print(f"{rows:,} rows scored" + (f", each in {parts.folder}" if config.keep_rows else ""))


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keeps other processes from the folder; the lock ends with the process, however that ends."""
    with ExitStack() as held:
        try:
            held.enter_context(locked(out / ".lock", wait=False))
        except BlockingIOError:
            raise StageError(
                f"another task=score is writing to {out}.", where="score.out", hint="Wait for it, or choose another folder."
            ) from None
        yield


@contextmanager
def _disk_errors(out: Path) -> Iterator[None]:
    """What the system says of a full or broken disk, as one message; Arrow names neither file nor reason plainly."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO):
            raise
        reason = os.strerror(error.errno)
        raise StageError(f"{out} cannot be written: {reason}.", where="score.out", hint="What is scored stays: call it again.") from None


def _content(run: Run, source: Source) -> dict[str, Any]:
    """All that the scores hang on."""
    from jdrec.serving.definition import describe

    files = [run.samples / "encoder.json", *sorted(file for file in run.checkpoint.iterdir() if file.is_file())]
    return {
        "model": {file.name: _digest(file) for file in files},
        "definition": describe(run.feature_set),
        "source": source.fingerprint(),
        "columns": source.columns.names,
        "code": code_version(*_CODE),
    }


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while block := content.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _score_chunks(run: Run, source: Source, parts: Parts) -> int:
    """Scores the chunks that are not there yet; returns the number of rows."""
    from jdrec.preprocess.encoder import Encoder
    from jdrec.training.scoring import Scorer

    encoder, scorer = Encoder.load(run.samples / "encoder.json"), Scorer(run.checkpoint)
    names = names_of(source.columns.names)
    rows = found = 0
    with run.progress.task("score", source.total) as task, source.chunks() as chunks:
        for chunk in chunks:
            if parts.has(chunk.number, chunk.rows):
                found += 1
            else:
                columns = {name: chunk.columns[name] for name in source.columns.names}
                parts.write(chunk.number, table_of(columns, names, chunk.first, _scores(encoder, scorer, chunk)))
            rows += chunk.rows
            parts.count = chunk.number + 1
            task.advance(chunk.rows)
    if found:
        log.info("%s of %s chunks were there from an earlier call", f"{found:,}", f"{parts.count:,}")
    if not rows:
        raise DataError("there are no rows to score.", where="score.requests" if run.config.score.requests else None)
    return rows


def _scores(encoder: Encoder, scorer: Scorer, chunk: Chunk) -> np.ndarray:
    """float32 [rows]."""
    features = chunk.features()
    result = np.empty(chunk.rows, np.float32)
    for start in range(0, chunk.rows, _SCORED):
        result[start : start + _SCORED] = scorer.scores(encoder.encode(features.slice(start, _SCORED)))[:, 0]
    return result


def _rank(config: Config, source: Source, parts: Parts, rows: int, out: Path, run: Run) -> dict[str, Any]:
    """Writes the lists that are asked for and says what is in them."""
    columns, options = source.columns, config.score
    names = names_of(columns.names)
    wanted = [
        ("by_user", columns.user, columns.product, options.products_per_user),
        ("by_product", columns.product, columns.user, options.users_per_product),
    ]
    lists: dict[str, Any] = {}
    for name, group, item, k in wanted:
        file = out / f"{name}.{options.format}"
        if not k:
            continue
        others = [column for column in columns.names if column not in (group, item)]
        read = [group, item, names[SCORE], *others, names[ROW]]

        def chunks(read: list[str] = read, task: Any = None) -> Iterator[pa.Table]:
            return parts.read(read)

        made, groups = 0, 0
        with run.progress.task(name), replacing(file) as staged, _Writer(staged, options.format) as writer:
            pieces = ranked(chunks, rows, group, item, names[SCORE], names[ROW], k, memory_rows=options.memory_rows)
            for table, ranks in pieces:
                writer.write(_with_rank(table, names[RANK], ranks))
                made, groups = made + table.num_rows, groups + int((ranks == 1).sum())
        lists[file.name] = {"by": group, "best": item, "rows": made, "groups": groups, "at_most": k}
        other = out / f"{name}.{'csv' if options.format == 'parquet' else 'parquet'}"
        other.unlink(missing_ok=True)  # of an earlier call: it would contradict this one
    return lists


def _with_rank(table: pa.Table, name: str, ranks: np.ndarray) -> pa.Table:
    import pyarrow as pa

    return table.add_column(1, name, pa.array(ranks))


class _Writer:
    """Appends tables to a Parquet or CSV file."""

    def __init__(self, file: Path, format: str):
        self._file, self._format = file, format
        self._writer: Any = None

    def __enter__(self) -> _Writer:
        return self

    def write(self, table: pa.Table) -> None:
        if self._writer is None:
            self._writer = self._open(table.schema)
        self._writer.write_table(table)

    def _open(self, schema: pa.Schema) -> Any:
        if self._format == "csv":
            from pyarrow.csv import CSVWriter

            return CSVWriter(self._file, schema)
        from pyarrow.parquet import ParquetWriter

        return ParquetWriter(self._file, schema)

    def __exit__(self, *args: object) -> None:
        if self._writer is not None:
            self._writer.close()

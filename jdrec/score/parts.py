"""Scores of chunks on disk: a file a chunk, which appears whole or not at all, so that a killed run goes on where it was.

The folder's name is the content of all that goes into the scores; other content has another folder.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jdrec.files import replacing

if TYPE_CHECKING:
    import pyarrow as pa

ROW, SCORE, RANK = "row", "score", "rank"


class Parts:
    """The files of one content.

    Args:
        folder: holds one folder a content.
        key: names the content.
    """

    def __init__(self, folder: Path, key: str):
        self.parent, self.folder = folder, folder / key
        self.count = 0  # files that belong to the result

    def open(self) -> None:
        """Makes the folder, and removes what a killed process left half-written."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for leftover in self.folder.glob(".part-*"):
            leftover.unlink()

    def file(self, number: int) -> Path:
        return self.folder / f"part-{number:06d}.parquet"

    def has(self, number: int, rows: int) -> bool:
        """Whether the chunk is there with so many rows; a damaged file is none."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.read_metadata(self.file(number)).num_rows == rows
        except (OSError, pa.ArrowInvalid):
            return False

    def write(self, number: int, table: pa.Table) -> None:
        import pyarrow.parquet as pq

        with replacing(self.file(number)) as staged:
            pq.write_table(table, staged)

    def read(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """The chunks in order."""
        import pyarrow.parquet as pq

        for number in range(self.count):
            yield pq.read_table(self.file(number), columns=list(columns), memory_map=True)

    def remove_others(self) -> None:
        """Removes chunks of other contents, and files that this one does not have."""
        for other in self.parent.iterdir():
            if other != self.folder and other.is_dir():
                shutil.rmtree(other)
        kept = {self.file(number) for number in range(self.count)}
        for file in self.folder.iterdir():
            if file not in kept:
                file.unlink()

    def remove(self) -> None:
        shutil.rmtree(self.parent)


def names_of(columns: Sequence[str]) -> dict[str, str]:
    """What row number, score and rank are called beside columns of the request table: their names, unless a column has them."""

    def free(name: str) -> str:
        while name in columns:
            name += "_"
        return name

    return {name: free(name) for name in (ROW, SCORE, RANK)}


def table_of(columns: dict[str, Any], names: dict[str, str], first: int, scores: Any) -> pa.Table:
    """One chunk's rows.

    Args:
        columns: of the request table. first: number of the first row. scores: float32 [rows].
    """
    import numpy as np
    import pyarrow as pa

    numbers = np.arange(first, first + len(scores), dtype=np.int64)
    return pa.table({**columns, names[ROW]: pa.array(numbers), names[SCORE]: pa.array(scores, pa.float32())})

"""Finding a table's files: one file, a folder or a glob; Parquet or CSV."""

from __future__ import annotations

from pathlib import Path

from jdrec.errors import DataError
from jdrec.features.spec import Table

FORMATS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv"}


def find_files(table: Table, root: Path) -> list[Path]:
    """The table's files in the order of its rows: sorted by name.

    A folder stands for all Parquet or CSV files below it, or those of the table's format; names that begin with a dot or an underscore are a writer's own.

    Raises:
        DataError: there is none, or they are of both formats.
    """
    where = f"dataset.tables.{table.name}.path"
    path = root / table.path
    if path.is_dir():
        wanted = set(FORMATS.values()) if table.format is None else {table.format}
        files = [file for file in path.rglob("*") if format_of(file) in wanted and not _hidden(file.relative_to(path))]
    elif path.is_file():
        files = [path]
    elif any(character in table.path for character in "*?["):
        files = _glob(root, table.path)
    else:
        raise DataError(f"table {table.name!r}: there is no {path}.", where=where, hint="Is dataset.root right?")
    files = sorted(file for file in files if file.is_file())
    if not files:
        raise DataError(f"table {table.name!r}: no Parquet or CSV file matches {path}.", where=where)
    formats = {format_of(file) for file in files}
    if len(formats) > 1:
        hint = f"Say which with dataset.tables.{table.name}.format, or name one kind with a glob."
        raise DataError(f"table {table.name!r}: {path} has both Parquet and CSV files.", where=where, hint=hint)
    if table.format is not None and formats != {table.format}:
        raise DataError(f"table {table.name!r}: {files[0]} is no .{table.format}.", where=where)
    if None in formats:
        raise DataError(f"table {table.name!r}: {files[0]} is neither .parquet nor .csv.", where=where)
    return files


def format_of(file: Path) -> str | None:
    return FORMATS.get(file.suffix.lower())


def _glob(root: Path, pattern: str) -> list[Path]:
    start = Path(pattern)
    if start.is_absolute():
        return [file for file in Path(start.anchor).glob(str(start.relative_to(start.anchor))) if not file.name.startswith((".", "_"))]
    return [file for file in root.glob(pattern) if not file.name.startswith((".", "_"))]


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)

"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def staging(file: Path) -> Path:
    """A name beside `file` for its half-written state, this process's own."""
    return file.with_name(f".{file.name}.{os.getpid()}")


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A path to write to; it takes the name `file` when the block ends, or goes away with an error."""
    file.parent.mkdir(parents=True, exist_ok=True)
    staged = staging(file)
    try:
        yield staged
        os.replace(staged, file)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise


def write_text(file: Path, text: str) -> None:
    """Writes a file of UTF-8 as it stands, line ends included; its folder is made where it is missing."""
    with replacing(file) as staged:
        staged.write_text(text, encoding="utf-8", newline="")

"""What is in a file, as a short key; a file that has not changed since is not read again."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from jdrec.files import write_text

_BLOCK = 4 << 20


def content_hash(file: Path, memo: Path | None = None) -> str:
    """XXH3 of the file's bytes, 128 bits, 32 digits.

    Args:
        memo: a folder that keeps the hash of each file with its size and time of change, which then stand for its bytes.
    """
    status = file.stat()
    state = [status.st_size, status.st_mtime_ns, status.st_ino]
    place = memo / f"{_digits(str(file.resolve()).encode())}.json" if memo is not None else None
    if place is not None:
        try:
            kept, digits = json.loads(place.read_text(encoding="utf-8"))
            if kept == state:
                return str(digits)
        except (OSError, ValueError, TypeError):  # not there yet, or not ours: made anew
            pass
    digits = _hash(file)
    if place is not None:
        with suppress(OSError):  # a memory that cannot be written only costs time
            write_text(place, json.dumps([state, digits]))
    return digits


def _hash(file: Path) -> str:
    import xxhash

    digest = xxhash.xxh3_128()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _digits(data: bytes) -> str:
    import xxhash

    return xxhash.xxh3_128_hexdigest(data)

"""Whether SQLite's write-ahead log is damaged before its end.

SQLite takes the first record whose checksum is wrong for the end of the log, as a crash leaves it. If commits come after it, the record
was whole once, and acknowledged commits would be lost without a word.
Source: SQLite documentation, "Database File Format", chapter 4 (the write-ahead log).
"""

from __future__ import annotations

import struct
from pathlib import Path

_HEADER, _FRAME = 32, 24
_LITTLE, _BIG = 0x377F0682, 0x377F0683
_LARGEST = 256 << 20  # bytes of a log that are looked at; a check point keeps it far smaller


def damaged_commits(file: Path) -> int:
    """How many commits of the log stand at or after its first damaged record."""
    try:
        with file.open("rb") as opened:
            content = opened.read(_LARGEST)
    except OSError:
        return 0
    if len(content) < _HEADER:
        return 0
    magic, _, page, _, *salts, first, second = struct.unpack(">8I", content[:_HEADER])
    order = "<" if magic == _LITTLE else ">"
    if magic not in (_LITTLE, _BIG) or _sum(content[:24], order, 0, 0) != (first, second):
        return 0  # SQLite does not read it either: a log that was only begun
    words = struct.Struct(f"{order}{page // 4}I")
    damaged, commits = False, 0
    sums = first, second
    for start in range(_HEADER, len(content) - _FRAME - page + 1, _FRAME + page):
        _, committed, *frame_salts, one, other = struct.unpack(">6I", content[start : start + _FRAME])
        if frame_salts != salts:
            break  # what an earlier log left behind
        if not damaged:
            begun = _sum(content[start : start + 8], order, *sums)
            damaged = _add(words.unpack_from(content, start + _FRAME), *begun) != (one, other)
        if damaged and committed:
            commits += 1
        sums = one, other
    return commits


def _sum(data: bytes, order: str, one: int, other: int) -> tuple[int, int]:
    return _add(struct.unpack(f"{order}{len(data) // 4}I", data), one, other)


def _add(words: tuple[int, ...], one: int, other: int) -> tuple[int, int]:
    for even, odd in zip(words[::2], words[1::2], strict=True):
        one = (one + even + other) & 0xFFFFFFFF
        other = (other + odd + one) & 0xFFFFFFFF
    return one, other

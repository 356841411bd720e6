"""Keeps the Chinese documents in step: writes the code blocks of the English ones into them. `python scripts/chinese.py`.

Prose is translated by hand; tests/test_chinese.py tells where headings or the number of blocks have come apart.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAIRS = {"README.md": "README.zh.md", "docs/tutorial.md": "docs/tutorial.zh.md"}


def _blocks(text: str) -> list[re.Match[str]]:
    return list(re.finditer(r"^```[^\n]*\n.*?^```\n|(?:^ {4}[^\n]*\n(?:\n+(?= {4}))?)+", text, re.MULTILINE | re.DOTALL))


def blocks(text: str) -> list[str]:
    """Fenced and indented blocks of code, in order."""
    return [match[0] for match in _blocks(text)]


def levels(text: str) -> list[tuple[int, str]]:
    """Level of every heading, and the number it begins with, as in "2.2.1"."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return [(len(signs), number) for signs, number in re.findall(r"^(#+) ((?:[0-9](?:\.[0-9]+)*\b)?)", prose, re.MULTILINE)]


def with_blocks(text: str, wanted: list[str]) -> str:
    """The text with its blocks replaced.

    Raises:
        ValueError: it has more or fewer.
    """
    found = _blocks(text)
    if len(found) != len(wanted):
        raise ValueError(f"{len(found)} code blocks, not {len(wanted)}")
    for match, block in reversed(list(zip(found, wanted, strict=True))):
        text = text[: match.start()] + block + text[match.end() :]
    return text


if __name__ == "__main__":
    for english, chinese in PAIRS.items():
        source, target = (ROOT / name for name in (english, chinese))
        target.write_text(with_blocks(target.read_text(encoding="utf-8"), blocks(source.read_text(encoding="utf-8"))), encoding="utf-8")

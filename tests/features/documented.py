"""Reads docs/checks.md: a definition, changes of it that are mistakes, and the messages they get; and tables with their findings."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import REPO

PAGE = REPO / "docs" / "checks.md"
_BLOCK = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
_FILE = re.compile(r"```csv (\S+)\n(.*?)```", re.DOTALL)
_ROW = re.compile(r"\| (?P<check>[^|]+) \| (?P<kind>error|warning) \| `(?P<example>[^|]+)` \| (?P<message>[^|]+) \|")


@dataclass(frozen=True)
class Example:
    """A row of one of the page's tables: {path: value} changes of the definition, and what they lead to."""

    check: str
    kind: str
    changes: dict[str, Any]
    message: str


def base() -> dict[str, Any]:
    """The definition at the top of the page."""
    block = _BLOCK.search(PAGE.read_text("utf-8"))
    assert block is not None
    return yaml.safe_load(block[1])


def files() -> dict[str, str]:
    """The tables of the part about data."""
    return dict(_FILE.findall(PAGE.read_text("utf-8")))


def examples(*, data: bool) -> list[Example]:
    """The rows of the tables before, or in, the part about data."""
    definition, about_data = PAGE.read_text("utf-8").split("\n## Data\n")
    rows = _ROW.finditer(about_data if data else definition)
    return [Example(row["check"], row["kind"], yaml.safe_load(f"{{{row['example']}}}"), _plain(row["message"])) for row in rows]


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """The definition with values put at dotted paths; None takes one away."""
    result = copy.deepcopy(base())
    for path, value in changes.items():
        *parents, last = path.split(".")
        place = result
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is None:
            del place[last]
        else:
            place[last] = value
    return result


def write_tables(folder: Path) -> None:
    for name, text in files().items():
        (folder / name).write_text(text, encoding="utf-8")


def _plain(message: str) -> str:
    """A message without what Markdown wants."""
    return message.replace("\\|", "|").replace("\\*", "*").replace("\\_", "_").strip()

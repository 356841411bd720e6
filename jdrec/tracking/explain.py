"""dry=true: which stages would run, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jdrec.cache import Entry
from jdrec.tracking.console import console
from jdrec.tracking.runs import flatten

_MOST_REASONS = 6
_FEW = 12  # items of two lists that are shown whole
_LONGEST = 120  # characters of a value


@dataclass(frozen=True)
class Planned:
    """What a run would do with a stage.

    Attributes:
        reused: its result is there.
        why: one reason a line.
    """

    stage: str
    reused: bool
    why: Sequence[str]


def reasons(inputs: Mapping[str, Any], after: str | None, earlier: Sequence[Entry]) -> list[str]:
    """What differs from the earlier result of the stage that is most like it.

    Args:
        inputs: all that goes into the stage.
        after: the stage before it.
        earlier: results of the stage.
    """
    if not earlier:
        return ["no earlier result"]
    wanted = flatten(json.loads(json.dumps(inputs, default=str)))
    found = min((_differences(wanted, flatten(entry.inputs)) for entry in earlier), key=len)
    shown = [_say(key, old, new, after) for key, old, new in found[:_MOST_REASONS]]
    return list(dict.fromkeys(shown)) + ([f"and {len(found) - _MOST_REASONS} more"] if len(found) > _MOST_REASONS else [])


def show(plan: Sequence[Planned]) -> None:
    """Prints the plan."""
    from rich.table import Table

    table = Table(title="what would run")
    for title in ("stage", "", "why"):
        table.add_column(title, overflow="fold")
    for planned in plan:
        table.add_row(planned.stage, "reused" if planned.reused else "runs", "\n".join(planned.why))
    console().print(table)


def _differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    keys = dict.fromkeys([*wanted, *found])
    return [(key, found.get(key), wanted.get(key)) for key in keys if found.get(key) != wanted.get(key)]


def _say(key: str, old: Any, new: Any, after: str | None) -> str:
    if key == "after":
        return f"{after} differs"
    if key == "code":
        return "the code differs"
    if key.startswith("data."):
        return f"table {key.partition('.')[2]} differs"
    if isinstance(old, list) and isinstance(new, list) and len(old) + len(new) > _FEW:
        changes = [
            (word, [item for item in these if item not in those]) for word, these, those in (("without", old, new), ("with", new, old))
        ]
        told = ", ".join(f"{word} {_short(items)}" for word, items in changes if items)
        return f"{key}: {told or 'another order'}"
    return f"{key}: {_short(old)} before, {_short(new)} now"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"

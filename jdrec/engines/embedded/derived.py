"""Derived columns: expressions over a table's row that stand among its columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jdrec.engines.embedded.expressions import evaluate
from jdrec.engines.embedded.rows import TableRows
from jdrec.engines.embedded.vector import Vector
from jdrec.features.spec import Table


def closure(table: Table, names: Iterable[str]) -> set[str]:
    """The names, and those of the derived columns that they are made of."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += table.derived[name].columns if name in table.derived else ()
    return found


def with_derived(table: Table, columns: Mapping[str, Vector], names: Iterable[str], rows: int) -> dict[str, Vector]:
    """The columns and, of the derived ones, those that are named.

    Args:
        columns: at least the stored columns that the names are made of.
    """
    wanted, result = closure(table, names), dict(columns)
    for name, derived in table.derived.items():  # each reads those before it
        if name in wanted:
            result[name] = evaluate(derived.node, TableRows(result)).spread(rows)
    return result

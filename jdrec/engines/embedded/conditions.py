"""Conditions within aggregates, taken apart and put together as trees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from jdrec.features import expression as ast
from jdrec.features.types import SqlType


def masked(call: ast.Call) -> ast.Node:
    """x where the condition holds, else NULL. For sum and avg OpenMLDB takes `x and condition`: a zero is as if it were not there."""
    x, condition = call.args
    if call.name in ("sum_where", "avg_where"):
        condition = ast.Binary(0, 0, "and", ast.Binary(0, 0, "!=", x, ast.Literal(0, 0, 0, SqlType.INT)), condition)
    return ast.Case(0, 0, None, ((condition, x),), None)


def replace_outermost(node: ast.Node, change: Callable[[ast.Node], ast.Node | None]) -> ast.Node:
    """A copy in which the topmost nodes that `change` answers for are replaced."""
    changed = change(node)
    if changed is not None:
        return changed
    updates: dict[str, Any] = {}
    for name in node.__dataclass_fields__:
        value = getattr(node, name)
        if isinstance(value, ast.Node):
            updates[name] = replace_outermost(value, change)
        elif isinstance(value, tuple):
            updates[name] = tuple(
                tuple(replace_outermost(part, change) for part in item) if isinstance(item, tuple) else replace_outermost(item, change)
                for item in value
            )
    return replace(node, **updates) if updates else node


def conjuncts(node: ast.Node) -> list[ast.Node]:
    if isinstance(node, ast.Binary) and node.op == "and":
        return conjuncts(node.left) + conjuncts(node.right)
    return [node]


def has_at(node: ast.Node) -> bool:
    return any(isinstance(item, ast.Call) and item.name == "at" for item in ast.walk(node))


def same_as_current(node: ast.Node) -> ast.Node | None:
    """x of `x = at(x, 0)`, either way round."""
    if not isinstance(node, ast.Binary) or node.op != "=":
        return None
    for one, other in ((node.left, node.right), (node.right, node.left)):
        if isinstance(other, ast.Call) and other.name == "at" and isinstance(other.args[1], ast.Literal) and other.args[1].value == 0:
            plain = [ast.transform(item, lambda part: replace(part, start=0, end=0)) for item in (one, other.args[0])]
            return one if plain[0] == plain[1] else None
    return None

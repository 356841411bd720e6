"""Expressions of the feature language: OpenMLDB's SQL expressions, parsed to a small tree.

Every node keeps its span in the source text, so that SQL is rendered by rewriting the user's own text
(quote columns, rename functions, add OVER) and errors can point at the character.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from jdrec.features.types import SqlType


@dataclass(frozen=True)
class Node:
    """Any node; `start` and `end` are offsets into the expression's text."""

    start: int
    end: int


@dataclass(frozen=True)
class Column(Node):
    """A column, of the rows at hand or of a join."""

    name: str
    table: str | None = None  # the qualifier in `product.br`


@dataclass(frozen=True)
class Literal(Node):
    """A value that is written out."""

    value: bool | int | float | str | None
    type: SqlType | None = None  # None: null, or an interval
    interval: str | None = None  # "d", "h", "m" or "s" for OpenMLDB's interval literals such as 7d


@dataclass(frozen=True)
class Star(Node):
    """The `*` of count(*)."""


@dataclass(frozen=True)
class Call(Node):
    """A function call. The parser keeps the written name, lower case; `resolve` puts the registry's name there."""

    name: str
    args: tuple[Node, ...]


@dataclass(frozen=True)
class Unary(Node):
    """An operator before its operand."""

    op: str  # "-", "not"
    operand: Node


@dataclass(frozen=True)
class Binary(Node):
    """An operator between two operands; of two spellings (<>, ==) the usual one."""

    op: str  # "+", "-", "*", "/", "%", "div", "=", "!=", "<", "<=", ">", ">=", "and", "or", "xor"
    left: Node
    right: Node


@dataclass(frozen=True)
class Case(Node):
    """CASE, with an operand that is compared or with conditions."""

    operand: Node | None
    whens: tuple[tuple[Node, Node], ...]
    otherwise: Node | None


@dataclass(frozen=True)
class In(Node):
    """x [NOT] IN (...)."""

    operand: Node
    options: tuple[Node, ...]
    negated: bool = False


@dataclass(frozen=True)
class Between(Node):
    """x [NOT] BETWEEN low AND high, both included."""

    operand: Node
    low: Node
    high: Node
    negated: bool = False


@dataclass(frozen=True)
class Like(Node):
    """LIKE, ILIKE (in upper or lower case) or RLIKE (a regular expression, which has no escape)."""

    operand: Node
    pattern: Node
    negated: bool = False
    op: str = "like"
    escape: str | None = None  # one byte or none; None: not said


@dataclass(frozen=True)
class IsNull(Node):
    """x IS [NOT] NULL."""

    operand: Node
    negated: bool = False
    keyword: int = 0  # offset of IS; OpenMLDB's compiler knows isnull(x) alone, so SQL is written that way


@dataclass(frozen=True)
class Cast(Node):
    """cast(x as type), or type(x)."""

    operand: Node
    type: SqlType


@dataclass(frozen=True)
class Raw(Node):
    """SQL that is not read here, of a declared type: the whole of an expression that only OpenMLDB evaluates."""

    type: SqlType


def children(node: Node) -> tuple[Node, ...]:
    """The nodes right below `node`, in the order of the text."""
    if isinstance(node, Call):
        return node.args
    if isinstance(node, (Unary, IsNull, Cast)):
        return (node.operand,)
    if isinstance(node, Binary):
        return (node.left, node.right)
    if isinstance(node, Case):
        branches = tuple(part for when in node.whens for part in when)
        return tuple(part for part in (node.operand, *branches, node.otherwise) if part is not None)
    if isinstance(node, In):
        return (node.operand, *node.options)
    if isinstance(node, Between):
        return (node.operand, node.low, node.high)
    if isinstance(node, Like):
        return (node.operand, node.pattern)
    return ()


def walk(node: Node) -> Iterator[Node]:
    """`node` and all nodes below it, parents first."""
    yield node
    for child in children(node):
        yield from walk(child)


def transform(node: Node, change: Callable[[Node], Node]) -> Node:
    """A copy of the tree in which each node is replaced by `change` of it, children first."""
    updates: dict[str, Any] = {}
    for item in fields(node):
        value = getattr(node, item.name)
        if isinstance(value, Node):
            updates[item.name] = transform(value, change)
        elif isinstance(value, tuple) and value:
            updates[item.name] = tuple(
                tuple(transform(part, change) for part in entry) if isinstance(entry, tuple) else transform(entry, change)
                for entry in value
            )
    return change(replace(node, **updates) if updates else node)


def constant(node: Node) -> int | float | None:
    """The number that is written out, with its sign; None if `node` is no such thing."""
    sign, number = 1, node
    if isinstance(node, Unary) and node.op == "-":
        sign, number = -1, node.operand
    if not isinstance(number, Literal) or number.interval or isinstance(number.value, (bool, str)) or number.value is None:
        return None
    return sign * number.value


def constant_type(node: Node) -> SqlType | None:
    """The type of a number that is written out."""
    number = node.operand if isinstance(node, Unary) else node
    return number.type if isinstance(number, Literal) else None


def parse(text: str) -> Node:
    """The tree of an expression. See `jdrec.features.parser`.

    Raises:
        ExpressionError: with the column and the reason.
    """
    from jdrec.features.parser import Parser

    return Parser(text).parse()

"""Expressions of the feature language: OpenMLDB's SQL expressions, parsed to a small tree.

Every node keeps its span in the source text, so that SQL is rendered by rewriting the user's own text
(quote columns, rename functions, add OVER) and errors can point at the character.
"""

from __future__ import annotations

from dataclasses import dataclass

from jdrec.features.types import SqlType


@dataclass(frozen=True)
class Node:
    """Any node; `start` and `end` are offsets into the expression's text."""

    start: int
    end: int


@dataclass(frozen=True)
class Column(Node):
    name: str
    table: str | None = None  # the qualifier in `product.br`


@dataclass(frozen=True)
class Literal(Node):
    value: bool | int | float | str | None
    interval: str | None = None  # "d", "h", "m" or "s" for OpenMLDB's interval literals such as 7d


@dataclass(frozen=True)
class Star(Node):
    """The `*` of count(*)."""


@dataclass(frozen=True)
class Call(Node):
    name: str  # lower case
    args: tuple[Node, ...]


@dataclass(frozen=True)
class Unary(Node):
    op: str  # "-", "not"
    operand: Node


@dataclass(frozen=True)
class Binary(Node):
    op: str  # "+", "-", "*", "/", "%", "div", "=", "!=", "<", "<=", ">", ">=", "and", "or", "xor"
    left: Node
    right: Node


@dataclass(frozen=True)
class Case(Node):
    operand: Node | None
    whens: tuple[tuple[Node, Node], ...]
    otherwise: Node | None


@dataclass(frozen=True)
class In(Node):
    operand: Node
    options: tuple[Node, ...]
    negated: bool = False


@dataclass(frozen=True)
class Between(Node):
    operand: Node
    low: Node
    high: Node
    negated: bool = False


@dataclass(frozen=True)
class Like(Node):
    operand: Node
    pattern: Node
    negated: bool = False


@dataclass(frozen=True)
class IsNull(Node):
    operand: Node
    negated: bool = False


@dataclass(frozen=True)
class Cast(Node):
    operand: Node
    type: SqlType

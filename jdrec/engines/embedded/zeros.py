"""What distinct_count counts where its argument is NULL: OpenMLDB computes on, with zeros in the place of NULLs.

The type's zero value stands for a NULL column; a function of it gives what it gives of that value. Where OpenMLDB's own result is whatever
lay in memory (texts that are no number, dates, CASE without ELSE), there is nothing to reproduce.
"""

from __future__ import annotations

from dataclasses import replace

from jdrec.engines.embedded import calendar, mathematics
from jdrec.features import expression as ast
from jdrec.features.infer import Inference
from jdrec.features.types import SqlType

T = SqlType
_TOTAL = frozenset(  # functions that are NULL of a NULL only
    {
        *("concat", "concat_ws", "substr", "char_length", "lower", "upper", "replace", "reverse", "strcmp", "like_match", "ilike_match"),
        *("char", "hash64"),
        *mathematics.FUNCTIONS,
        *calendar.FUNCTIONS,
    }
) - {"add_months", "datediff", "unix_timestamp"}


class Undefined(ValueError):
    """OpenMLDB's value is not defined."""


def filled(node: ast.Node, inference: Inference) -> ast.Node:
    """The expression, with what OpenMLDB counts where it is NULL.

    Raises:
        Undefined: that is not defined.
    """
    if isinstance(node, ast.Column | ast.Literal):
        return node  # the kernel knows the type's zero value
    return ast.Call(0, 0, "if_null", (node, _Raw(inference).of(node)))


class _Raw:
    """Expressions over the values that lie behind NULLs."""

    def __init__(self, inference: Inference):
        self._inference = inference

    def of(self, node: ast.Node) -> ast.Node:
        type_ = self._inference.type_of(node)
        if type_ is None or type_ is T.DATE:  # behind a NULL date lies no date
            raise Undefined
        if isinstance(node, ast.Literal):
            return node
        if isinstance(node, ast.Column):
            return ast.Call(0, 0, "if_null", (node, _zero(type_)))
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.IsNull):
            return node
        if isinstance(node, ast.Case):
            if node.otherwise is None:
                raise Undefined
            return replace(node, whens=tuple((when, self.of(then)) for when, then in node.whens), otherwise=self.of(node.otherwise))
        if isinstance(node, ast.Cast) and (self._inference.type_of(node.operand) is T.STRING or node.type is T.TIMESTAMP):
            raise Undefined  # not every text is a number, and no negative number a time
        if isinstance(node, ast.Cast | ast.Unary):
            return replace(node, operand=self.of(node.operand))
        if isinstance(node, ast.Binary):
            if node.op in ("/", "%", "div") and not ast.constant(node.right):
                raise Undefined
            return replace(node, left=self.of(node.left), right=self.of(node.right))
        if isinstance(node, ast.In):
            return replace(node, operand=self.of(node.operand), options=tuple(map(self.of, node.options)))
        if isinstance(node, ast.Between):
            return replace(node, operand=self.of(node.operand), low=self.of(node.low), high=self.of(node.high))
        if isinstance(node, ast.Like) and node.op != "rlike":
            return replace(node, operand=self.of(node.operand), pattern=self.of(node.pattern))
        raise Undefined

    def _call(self, node: ast.Call) -> ast.Node:
        if node.name == "isnull":
            return node
        if node.name == "if_null":  # not NULL, it is the first: only the second can have a zero behind it
            value, default = node.args
            return replace(node, args=(value, self.of(default)))
        if node.name == "nvl2":
            value, then, otherwise = node.args
            return replace(node, args=(value, self.of(then), self.of(otherwise)))
        if node.name not in _TOTAL:
            raise Undefined
        return replace(node, args=tuple(map(self.of, node.args)))


def _zero(type_: SqlType) -> ast.Node:
    if type_ is T.STRING:
        return ast.Literal(0, 0, "", T.STRING)
    return ast.Cast(0, 0, ast.Literal(0, 0, 0, T.INT), type_)

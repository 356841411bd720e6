"""Row expressions over whole columns, with OpenMLDB's types and SQL's NULLs.

An expression is evaluated node by node; a value is NULL as soon as an operand is, but for the three-valued logic of AND and OR, CASE,
isnull and if_null. Sources: OpenMLDB 0.9.2's code generation (arithmetic, predicates, casts).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from jdrec.dataset import arrow
from jdrec.engines.embedded import calendar, casts, farmhash, mathematics, strings
from jdrec.engines.embedded.vector import Vector
from jdrec.features import expression as ast
from jdrec.features.infer import common_type
from jdrec.features.types import SqlType

T = SqlType
_RANK = {T.BOOL: 0, T.SMALLINT: 1, T.INT: 2, T.BIGINT: 3, T.FLOAT: 4, T.DOUBLE: 5}
_COMPARE = {"=": "equal", "!=": "not_equal", "<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal"}


class Rows(Protocol):
    """Where an expression finds its columns."""

    def column(self, node: ast.Column) -> Vector: ...

    def other(self, node: ast.Node) -> Vector:
        """The value of a node that is no row expression, such as the result of an aggregate."""
        ...


def supports(node: ast.Node) -> str | None:
    """Why this engine cannot evaluate a node itself (its operands apart), or None if it can."""
    if isinstance(node, ast.Call):
        return None if node.name in FUNCTIONS or node.name in (*strings.LISTS, "join", "size") else f"the function {node.name}"
    if isinstance(node, ast.Raw):
        return "SQL that is openmldb_only"
    if isinstance(node, ast.Literal) and node.interval:
        return "an interval as a value"
    return None


def evaluate(node: ast.Node, rows: Rows) -> Vector:
    """The expression's value for every row; constants stay constants."""
    if isinstance(node, ast.Literal):
        return Vector.of_value(node.value, node.type)
    if isinstance(node, ast.Column):
        return rows.column(node)
    if isinstance(node, ast.Call) and node.name in FUNCTIONS:
        return FUNCTIONS[node.name](*(evaluate(arg, rows) for arg in node.args))
    if isinstance(node, ast.Call) and node.name in ("join", "size"):
        inner = node.args[0]
        assert isinstance(inner, ast.Call)
        return strings.of_list(node.name, inner.name, [evaluate(arg, rows) for arg in (*inner.args, *node.args[1:])])
    if isinstance(node, ast.Like):
        result = _like(node, evaluate(node.operand, rows), evaluate(node.pattern, rows))
        return _not(result) if node.negated else result
    if isinstance(node, ast.Unary):
        return _not(evaluate(node.operand, rows)) if node.op == "not" else _negate(evaluate(node.operand, rows))
    if isinstance(node, ast.Binary):
        return binary(node.op, evaluate(node.left, rows), evaluate(node.right, rows))
    if isinstance(node, ast.Cast):
        return casts.cast(evaluate(node.operand, rows), node.type)
    if isinstance(node, ast.IsNull):
        result = _isnull(evaluate(node.operand, rows))
        return _not(result) if node.negated else result
    if isinstance(node, ast.Case):
        return _case(node, rows)
    if isinstance(node, ast.Between):
        operand = evaluate(node.operand, rows)
        result = _and(binary(">=", operand, evaluate(node.low, rows)), binary("<=", operand, evaluate(node.high, rows)))
        return _not(result) if node.negated else result
    if isinstance(node, ast.In):
        operand = evaluate(node.operand, rows)
        result = binary("=", operand, evaluate(node.options[0], rows))
        for option in node.options[1:]:
            result = _or(result, binary("=", operand, evaluate(option, rows)))
        return _not(result) if node.negated else result
    return rows.other(node)


def binary(op: str, left: Vector, right: Vector) -> Vector:
    """An operator on two columns."""
    if op in ("and", "or", "xor"):
        return {"and": _and, "or": _or, "xor": _xor}[op](left, right)
    if left.type is None or right.type is None:  # null literals: NULL of some type
        type_ = T.BOOL if op in _COMPARE else T.DOUBLE if op == "/" else left.type or right.type or T.INT
        return _null(type_, left, right)
    if op in _COMPARE:
        return _compare(_COMPARE[op], left, right)
    return _arithmetic(op, left, right)


# --- NULLs and lengths ---------------------------------------------------------------------------------------------------


def _both_valid(left: Vector, right: Vector) -> np.ndarray | None:
    if left.valid is None and right.valid is None:
        return None
    one = left.valid if left.valid is not None else np.ones(1, np.uint8)
    other = right.valid if right.valid is not None else np.ones(1, np.uint8)
    rows = max(len(left), len(right)) if not (left.constant and right.constant) else 1
    return np.broadcast_to(one & other, (rows,) if len(left) and len(right) else (0,))


def _null(type_: SqlType, *like: Vector) -> Vector:
    rows = next((len(vector) for vector in like if not vector.constant), None)
    null = Vector.of_value(None, type_)
    return null if rows is None else null.spread(rows)


def _is_constant(*vectors: Vector) -> bool:
    return all(vector.constant for vector in vectors)


# --- operators -----------------------------------------------------------------------------------------------------------


def _arithmetic(op: str, left: Vector, right: Vector) -> Vector:
    assert left.type is not None and right.type is not None
    constant = _is_constant(left, right)
    valid = _both_valid(left, right)
    if T.TIMESTAMP in (left.type, right.type):
        a, b = left.data.astype(np.int64), right.data.astype(np.int64)
        return Vector(T.TIMESTAMP, a + b if op == "+" else a - b, valid, constant)
    type_ = T.DOUBLE if op == "/" else max(left.type, right.type, key=_RANK.__getitem__)
    dtype = arrow.STORAGE[type_]
    a, b = left.data.astype(dtype), right.data.astype(dtype)
    with np.errstate(all="ignore"):
        if op == "+":
            data = a + b
        elif op == "-":
            data = a - b
        elif op == "*":
            data = a * b
        else:  # a division by zero is NULL
            zero = right.data == 0
            b = np.where(zero, dtype(1), b)
            data = a / b if op == "/" else _truncated_quotient(a, b) if op == "div" else np.fmod(a, b)
            if zero.any():
                divisible = np.broadcast_to(~zero, data.shape)
                valid = (divisible if valid is None else divisible & (valid != 0)).astype(np.uint8)
    return Vector(type_, data.astype(dtype, copy=False), valid, constant)


def _truncated_quotient(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Integer division towards zero."""
    quotient = a // b
    return quotient + ((a % b != 0) & ((a < 0) != (b < 0)))


def _negate(operand: Vector) -> Vector:
    if operand.type is None:
        return operand
    with np.errstate(all="ignore"):
        return Vector(operand.type, operand.data.dtype.type(0) - operand.data, operand.valid, operand.constant)  # -(0.0) is 0.0


def _compare(name: str, left: Vector, right: Vector) -> Vector:
    constant = _is_constant(left, right)
    if left.type is T.STRING:
        return _compare_strings(name, left, right)
    valid = _both_valid(left, right)
    a, b = left.data, right.data
    if left.type in _RANK and right.type in _RANK:
        type_ = max(left.type, right.type, key=_RANK.__getitem__)
        if {left.type, right.type} == {T.BIGINT, T.FLOAT}:
            type_ = T.DOUBLE
        a, b = a.astype(arrow.STORAGE[type_]), b.astype(arrow.STORAGE[type_])
    return Vector(T.BOOL, getattr(np, name)(a, b).astype(np.uint8), valid, constant)


def _compare_strings(name: str, left: Vector, right: Vector) -> Vector:
    """By bytes. A constant is compared with each distinct value only."""
    constant = _is_constant(left, right)
    if not left.constant and right.constant and hasattr(left.data, "dictionary"):
        distinct = _compare_strings(name, Vector(T.STRING, left.data.dictionary), right)
        dictionary, codes = left.encoded()
        if not len(dictionary):
            return _null(T.BOOL, left)
        valid = distinct.is_valid[codes] & (codes >= 0)
        return Vector(T.BOOL, distinct.data[codes], None if valid.all() else valid.astype(np.uint8))
    a, b = left.plain(), right.plain()
    rows = 1 if constant else next(len(vector) for vector in (a, b) if not vector.constant)
    result = arrow.call(name, a.spread(rows).data, b.spread(rows).data)
    return Vector(T.BOOL, arrow.values_of(result, T.BOOL), arrow.valid_of(result), constant)


def _like(node: ast.Like, operand: Vector, pattern: Vector) -> Vector:
    escape = [] if node.escape is None else [Vector.of_value(node.escape, T.STRING)]
    return FUNCTIONS[{"like": "like_match", "ilike": "ilike_match", "rlike": "regexp_like"}[node.op]](operand, pattern, *escape)


# --- logic: true and false win over NULL where they decide ---------------------------------------------------------------


def _truth(operand: Vector) -> tuple[np.ndarray, np.ndarray]:
    """Where it is true, where it is false."""
    valid = operand.is_valid
    value = operand.data != 0
    return valid & value, valid & ~value


def _and(left: Vector, right: Vector) -> Vector:
    (left_true, left_false), (right_true, right_false) = _truth(left), _truth(right)
    return _logic(left_true & right_true, left_false | right_false, _is_constant(left, right))


def _or(left: Vector, right: Vector) -> Vector:
    (left_true, left_false), (right_true, right_false) = _truth(left), _truth(right)
    return _logic(left_true | right_true, left_false & right_false, _is_constant(left, right))


def _xor(left: Vector, right: Vector) -> Vector:
    (left_true, left_false), (right_true, right_false) = _truth(left), _truth(right)
    return _logic(
        (left_true & right_false) | (left_false & right_true),
        (left_true & right_true) | (left_false & right_false),
        _is_constant(left, right),
    )


def _not(operand: Vector) -> Vector:
    true, false = _truth(operand)
    return _logic(false, true, operand.constant)


def _logic(true: np.ndarray, false: np.ndarray, constant: bool) -> Vector:
    valid = true | false
    return Vector(T.BOOL, true.astype(np.uint8), None if valid.all() else valid.astype(np.uint8), constant)


# --- choices -------------------------------------------------------------------------------------------------------------


def _case(node: ast.Case, rows: Rows) -> Vector:
    operand = evaluate(node.operand, rows) if node.operand is not None else None
    conditions, results = [], []
    for when, then in node.whens:
        condition = evaluate(when, rows)
        conditions.append(binary("=", operand, condition) if operand is not None else condition)
        results.append(evaluate(then, rows))
    results.append(evaluate(node.otherwise, rows) if node.otherwise is not None else Vector.of_value(None, None))
    return choose(conditions, results)


def choose(conditions: list[Vector], results: list[Vector]) -> Vector:
    """The result of the first condition that is true, else the last result, in the results' common type."""
    type_ = common_type([result.type for result in results])
    if type_ is None:
        return results[-1]
    every = [*conditions, *results]
    constant = _is_constant(*every)
    count = 1 if constant else next(len(vector) for vector in every if not vector.constant)
    pick = np.full(count, len(results) - 1, np.int64)
    for index in range(len(conditions) - 1, -1, -1):
        pick = np.where(_truth(conditions[index])[0], index, pick)
    cast = [casts.cast(result, type_) for result in results]
    if type_ is T.STRING:
        options = [result.spread(count).plain().data for result in cast]
        return Vector(type_, arrow.call("choose", arrow.array_of(pick, None, T.BIGINT), *options), constant=constant)
    data = np.choose(pick, [np.broadcast_to(result.data, (count,)) for result in cast]) if count else np.zeros(0, arrow.STORAGE[type_])
    valid = np.choose(pick, [np.broadcast_to(result.is_valid, (count,)) for result in cast]) if count else np.zeros(0, bool)
    return Vector(type_, data, None if valid.all() else valid.astype(np.uint8), constant)


def _isnull(operand: Vector) -> Vector:
    null = ~operand.is_valid if operand.type is not None else np.ones(len(operand), bool)
    return Vector(T.BOOL, null.astype(np.uint8), None, operand.constant)


def _if_null(operand: Vector, default: Vector) -> Vector:
    return choose([_isnull(operand)], [default, operand])


def _nvl2(operand: Vector, then: Vector, otherwise: Vector) -> Vector:
    return choose([_isnull(operand)], [otherwise, then])


def _choice(op: str) -> Callable[[Vector, Vector], Vector]:
    """maximum and minimum: the second where the comparison is not true, be it for a NULL."""
    return lambda left, right: choose([binary(op, left, right)], [left, right])


def _pmod(x: Vector, divisor: Vector) -> Vector:
    remainder = binary("%", x, divisor)
    negative = binary("<", remainder, Vector.of_value(0, T.INT))
    return choose([negative], [binary("%", binary("+", remainder, divisor), divisor), remainder])


def _log(x: Vector, y: Vector | None = None) -> Vector:
    if y is None:
        return mathematics.FUNCTIONS["ln"](x)
    one, other = (mathematics.FUNCTIONS["ln"](casts.cast(value, T.DOUBLE)) for value in (x, y))
    return binary("/", other, one)


FUNCTIONS: dict[str, Callable[..., Vector]] = {
    "isnull": _isnull,
    "if_null": _if_null,
    "nvl2": _nvl2,
    "maximum": _choice(">"),
    "minimum": _choice("<"),
    "pmod": _pmod,
    "log": _log,
    "hash64": farmhash.hash64,
    **calendar.FUNCTIONS,
    **strings.FUNCTIONS,
    **mathematics.FUNCTIONS,
}

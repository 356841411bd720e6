"""Expressions over one row as Python functions: what the batch engine computes on whole columns, without their overhead.

A function takes the request's cells (storage values, see `rows`) and gives a storage value. Operators, choices, casts between numbers and the
usual calendar functions are here; an expression with anything else is evaluated by the batch engine itself, over columns of one row.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from jdrec.engines.embedded import casts, expressions, text
from jdrec.engines.embedded.plan import Result
from jdrec.engines.embedded.rows import zero
from jdrec.engines.embedded.text import ZONE_MS
from jdrec.engines.embedded.vector import Vector
from jdrec.features import expression as ast
from jdrec.features.infer import common_type
from jdrec.features.spec import RowColumn
from jdrec.features.types import SqlType
from jdrec.online.cells import Cells, Key, key_of, scalar_of
from jdrec.online.rows import single
from jdrec.online.scalar_functions import CALENDAR, Function, both_of, either_of, quotient, strict

T = SqlType
_RANK = {T.BOOL: 0, T.SMALLINT: 1, T.INT: 2, T.BIGINT: 3, T.FLOAT: 4, T.DOUBLE: 5}
_BITS = {T.SMALLINT: 16, T.INT: 32, T.BIGINT: 64, T.TIMESTAMP: 64, T.DATE: 32}
_COMPARE = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def compiled(node: ast.Node, cells: Cells, row: tuple[RowColumn, ...] = ()) -> Function:
    """The expression as a function of the cells.

    Args:
        row: how the request becomes the row that the expression's columns are of; empty: it is that row.
    """
    try:
        return _Compiler(cells, row).compile(node)[0]
    except _Unsupported:
        return _by_columns(node, cells, row)


class _Unsupported(Exception):
    """The batch engine has to evaluate it."""


# --- by the batch engine -----------------------------------------------------------------------------------------------------


class _OneRow:
    """Where the batch engine's expressions find the cells of one request."""

    def __init__(self, cells: Cells, row: Mapping[str, RowColumn], values: Sequence[Any]):
        self._cells, self._row, self._values = cells, row, values

    def column(self, node: ast.Column) -> Vector:
        if node.table is None and self._row:
            column = self._row[node.name]
            return zero(column.type) if column.source is None else casts.cast(self._vector((None, column.source)), column.type)
        return self._vector((node.table, node.name))

    def other(self, node: ast.Node) -> Vector:
        assert isinstance(node, Result)
        return self._vector(key_of(node))

    def _vector(self, key: Key) -> Vector:
        place = self._cells.place(key)
        return Vector.of_values([self._values[place]], self._cells.types[place])


def _by_columns(node: ast.Node, cells: Cells, row: tuple[RowColumn, ...]) -> Function:
    named = {column.name: column for column in row}
    return lambda values: scalar_of(expressions.evaluate(node, _OneRow(cells, named, values)))


# --- here ---------------------------------------------------------------------------------------------------------------------


def _wrap(type_: SqlType) -> Callable[[int], int]:
    """An integer as its type holds it, the rest cut off."""
    half, whole = 1 << (_BITS[type_] - 1), 1 << _BITS[type_]

    def wrap(value: int) -> int:
        return value if -half <= value < half else (value + half) % whole - half

    return wrap


def _same(value: Any) -> Any:
    return value


Typed = tuple[Function, SqlType | None]


class _Compiler:
    def __init__(self, cells: Cells, row: tuple[RowColumn, ...]):
        self._cells, self._row = cells, {column.name: column for column in row}

    def compile(self, node: ast.Node) -> Typed:
        """The function and its type.

        Raises:
            _Unsupported: there is no rule for it here.
        """
        rule = getattr(self, f"_{type(node).__name__.lower()}", None)
        if rule is None:
            raise _Unsupported
        return rule(node)

    def _literal(self, node: ast.Literal) -> Typed:
        value = node.value
        if node.interval or (node.type is T.FLOAT and value is not None):
            raise _Unsupported
        return (lambda cells: value), node.type

    def _column(self, node: ast.Column) -> Typed:
        if node.table is None and self._row:
            column = self._row[node.name]
            if column.source is None:
                value: Any = "" if column.type is T.STRING else False if column.type is T.BOOL else 0
                return (lambda cells: value), column.type
            return self._converted(self._cell((None, column.source)), column.type), column.type
        return self._cell((node.table, node.name))

    def _result(self, node: Result) -> Typed:
        return self._cell(key_of(node))

    def _cell(self, key: Key) -> Typed:
        place = self._cells.place(key)
        return itemgetter(place), self._cells.types[place]

    # --- operators ---

    def _unary(self, node: ast.Unary) -> Typed:
        operand, type_ = self.compile(node.operand)
        if node.op == "not":
            return strict(operator.not_, operand), T.BOOL
        if type_ in (T.SMALLINT, T.INT, T.BIGINT):
            wrap = _wrap(type_)
            return strict(lambda value: wrap(-value), operand), type_
        if type_ in (T.FLOAT, T.DOUBLE):
            return strict(lambda value: 0.0 - value, operand), type_
        raise _Unsupported

    def _binary(self, node: ast.Binary) -> Typed:
        left, right = self.compile(node.left), self.compile(node.right)
        if node.op in ("and", "or"):
            return (both_of if node.op == "and" else either_of)(left[0], right[0]), T.BOOL
        if node.op in _COMPARE:
            return self._compared(node.op, left, right), T.BOOL
        return self._computed(node.op, left, right)

    def _compared(self, op: str, left: Typed, right: Typed) -> Function:
        one, other = left[1], right[1]
        if one is None or other is None:
            return lambda cells: None
        if one in _RANK and other in _RANK and one is not other:
            type_ = T.DOUBLE if {one, other} == {T.BIGINT, T.FLOAT} else max(one, other, key=_RANK.__getitem__)
            return strict(_COMPARE[op], self._converted(left, type_), self._converted(right, type_))
        if one is not other:
            raise _Unsupported
        return strict(_COMPARE[op], left[0], right[0])

    def _computed(self, op: str, left: Typed, right: Typed) -> Typed:
        one, other = left[1], right[1]
        if one is None or other is None or op == "xor":
            raise _Unsupported
        if T.TIMESTAMP in (one, other):
            if op not in "+-" or T.FLOAT in (one, other) or T.DOUBLE in (one, other):
                raise _Unsupported
            wrap, apply = _wrap(T.BIGINT), operator.add if op == "+" else operator.sub
            return strict(lambda a, b: wrap(apply(a, b)), left[0], right[0]), T.TIMESTAMP
        if one not in _RANK or other not in _RANK or T.BOOL in (one, other):
            raise _Unsupported
        type_ = T.DOUBLE if op == "/" else max(one, other, key=_RANK.__getitem__)
        a, b = self._converted(left, type_), self._converted(right, type_)
        if op == "/":
            return strict(lambda x, y: None if y == 0 else x / y, a, b), type_
        if op in ("+", "-", "*"):
            apply = {"+": operator.add, "-": operator.sub, "*": operator.mul}[op]
            if type_ is T.DOUBLE:
                return strict(apply, a, b), type_
            fit = single if type_ is T.FLOAT else _wrap(type_)
            return strict(lambda x, y: fit(apply(x, y)), a, b), type_
        if not type_.is_integer:
            raise _Unsupported
        wrap = _wrap(type_)
        if op == "div":
            return strict(lambda x, y: None if y == 0 else wrap(quotient(x, y)), a, b), type_
        if op == "%":
            return strict(lambda x, y: None if y == 0 else x - y * quotient(x, y), a, b), type_
        raise _Unsupported

    def _between(self, node: ast.Between) -> Typed:
        operand = self.compile(node.operand)
        result = both_of(self._compared(">=", operand, self.compile(node.low)), self._compared("<=", operand, self.compile(node.high)))
        return (strict(operator.not_, result) if node.negated else result), T.BOOL

    def _in(self, node: ast.In) -> Typed:
        operand = self.compile(node.operand)
        result = self._compared("=", operand, self.compile(node.options[0]))
        for option in node.options[1:]:
            result = either_of(result, self._compared("=", operand, self.compile(option)))
        return (strict(operator.not_, result) if node.negated else result), T.BOOL

    def _isnull(self, node: ast.IsNull) -> Typed:
        operand, _ = self.compile(node.operand)
        return ((lambda cells: operand(cells) is not None) if node.negated else (lambda cells: operand(cells) is None)), T.BOOL

    # --- choices ---

    def _case(self, node: ast.Case) -> Typed:
        operand = self.compile(node.operand) if node.operand is not None else None
        conditions, results = [], []
        for when, then in node.whens:
            condition = self.compile(when)
            conditions.append(self._compared("=", operand, condition) if operand is not None else condition[0])
            results.append(self.compile(then))
        results.append(self.compile(node.otherwise) if node.otherwise is not None else ((lambda cells: None), None))
        return self._chosen(conditions, results)

    def _chosen(self, conditions: list[Function], results: list[Typed]) -> Typed:
        type_ = common_type([result[1] for result in results])
        if type_ is None:
            raise _Unsupported
        *options, last = [self._converted(result, type_) for result in results]
        pairs = tuple(zip(conditions, options, strict=True))
        if len(pairs) == 1:
            ((condition, option),) = pairs
            return (lambda cells: option(cells) if condition(cells) else last(cells)), type_

        def choose(cells: Sequence[Any]) -> Any:
            for condition, option in pairs:
                if condition(cells):
                    return option(cells)
            return last(cells)

        return choose, type_

    # --- calls and casts ---

    def _call(self, node: ast.Call) -> Typed:
        if node.name in ("isnull", "if_null", "nvl2", "maximum", "minimum"):
            arguments = [self.compile(argument) for argument in node.args]
            first = arguments[0][0]
            if node.name == "isnull":
                return (lambda cells: first(cells) is None), T.BOOL
            if node.name == "if_null":
                return self._chosen([lambda cells: first(cells) is None], [arguments[1], arguments[0]])
            if node.name == "nvl2":
                return self._chosen([lambda cells: first(cells) is None], [arguments[2], arguments[1]])
            condition = self._compared(">" if node.name == "maximum" else "<", arguments[0], arguments[1])
            return self._chosen([condition], arguments)
        if node.name not in CALENDAR:
            raise _Unsupported
        operand, type_ = self.compile(node.args[0])
        if type_ is not T.TIMESTAMP:
            raise _Unsupported
        return strict(CALENDAR[node.name], operand), T.INT

    def _cast(self, node: ast.Cast) -> Typed:
        return self._converted(self.compile(node.operand), node.type), node.type

    def _converted(self, operand: Typed, target: SqlType) -> Function:
        """The value cast to a type."""
        function, source = operand
        if source is target:
            return function
        if source is None:
            return lambda cells: None
        convert = self._conversion(source, target)
        return function if convert is _same else strict(convert, function)

    def _conversion(self, source: SqlType, target: SqlType) -> Callable[[Any], Any]:
        if source is T.STRING:
            if target is T.BOOL:
                return lambda value: None if (found := casts.parse(value, T.BOOL)) is None else bool(found)
            if target is T.FLOAT:
                return lambda value: None if (found := casts.parse(value, T.FLOAT)) is None else single(found)
            return lambda value: casts.parse(value, target)
        if target is T.STRING:
            return lambda value: text.cast(value, source)
        if target is T.BOOL and source in _RANK:
            return lambda value: value != 0
        if source is T.TIMESTAMP and target is T.DATE:
            return lambda value: (value + ZONE_MS) // 86_400_000
        if source.is_float and target is T.DOUBLE:
            return _same
        if source is T.DOUBLE and target is T.FLOAT:
            return single
        if source in (T.BOOL, T.SMALLINT, T.INT, T.BIGINT, T.TIMESTAMP):
            if target is T.DOUBLE:
                return float
            if target is T.FLOAT and source in (T.BOOL, T.SMALLINT):
                return float
            if target is T.TIMESTAMP:
                return lambda value: int(value) if value >= 0 else None
            if target.is_integer:
                return _wrap(target) if source is not T.BOOL else int
        raise _Unsupported

"""Types of whole expressions, by OpenMLDB's rules where it is sound to use them.

OpenMLDB also converts silently between text and numbers and takes any value for a condition; here that is an error that asks for a cast.
Where an expression is accepted, its type is the compiler's.
"""

from __future__ import annotations

from collections.abc import Callable

from jdrec.errors import ExpressionError, nearest
from jdrec.features import expression as ast
from jdrec.features import functions
from jdrec.features.expression import Node
from jdrec.features.functions import Argument, Function
from jdrec.features.functions.rules import common_type as common_type
from jdrec.features.functions.rules import widest
from jdrec.features.lexer import fail
from jdrec.features.types import SqlType

T = SqlType
Type = SqlType | None  # None: the type of null, which fits everywhere


class Inference:
    """Types one expression.

    Args:
        column: gives the type of a column, or raises ExpressionError.
        windowed: whether the expression runs over a window, so that aggregates are allowed.
    """

    def __init__(self, column: Callable[[ast.Column], SqlType], *, windowed: bool):
        self._column = column
        self._windowed = windowed
        self._aggregate: Function | None = None  # the aggregate around the node at hand
        self._row = False  # inside an argument in which `at` is allowed

    def type_of(self, node: Node) -> Type:
        """The expression's type.

        Raises:
            ExpressionError: with the column and the reason.
        """
        if isinstance(node, ast.Literal):
            if node.interval:
                raise fail("an interval has no value in an expression; it belongs into a window's range.", node.start)
            return node.type
        if isinstance(node, ast.Column):
            return self._column(node)
        if isinstance(node, ast.Raw):
            return node.type
        if isinstance(node, ast.Star):
            raise fail("'*' stands for all rows in count(*) and count_where(*, condition) only.", node.start)
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, ast.Cast):
            return self._cast(node)
        if isinstance(node, ast.Unary):
            return self._unary(node)
        if isinstance(node, ast.Binary):
            return self._binary(node)
        if isinstance(node, ast.Case):
            return self._case(node)
        if isinstance(node, ast.Like):
            for part in (node.operand, node.pattern):
                if self.type_of(part) is not T.STRING:
                    raise fail(f"{node.op} compares strings.", part.start)
            return T.BOOL
        if isinstance(node, ast.In):
            for option in node.options:
                self._comparable(node.operand, option, "in")
            return T.BOOL
        if isinstance(node, ast.Between):
            self._comparable(node.operand, node.low, "between")
            self._comparable(node.operand, node.high, "between")
            return T.BOOL
        if isinstance(node, ast.IsNull):
            self.type_of(node.operand)
            return T.BOOL
        raise TypeError(f"no rule for {type(node).__name__}")

    # --- operators ---

    def _unary(self, node: ast.Unary) -> Type:
        if node.op == "not":
            self._condition(node.operand)
            return T.BOOL
        type_ = self.type_of(node.operand)
        if type_ is None or not type_.is_number:
            raise fail(f"- needs a number, not {_name(type_)}.", node.operand.start)
        return type_

    def _binary(self, node: ast.Binary) -> Type:
        if node.op in ("and", "or", "xor"):
            self._condition(node.left)
            self._condition(node.right)
            return T.BOOL
        if node.op in ("=", "!=", "<", "<=", ">", ">="):
            self._comparable(node.left, node.right, node.op)
            return T.BOOL
        left, right = self.type_of(node.left), self.type_of(node.right)
        if node.op in ("+", "-") and left is T.TIMESTAMP and right is not None and right.is_integer:
            return T.TIMESTAMP
        if node.op == "+" and right is T.TIMESTAMP and left is not None and left.is_integer:
            return T.TIMESTAMP
        for part, type_ in ((node.left, left), (node.right, right)):
            if type_ is None or not type_.is_number:
                why = " Take bigint(x) for its milliseconds." if type_ is T.TIMESTAMP else ""
                raise fail(f"{node.op} needs numbers, not {_name(type_)}.{why}", part.start)
            if node.op == "div" and not type_.is_integer:
                raise fail(f"div needs integers, not {_name(type_)}.", part.start)
        if node.op == "/":
            return T.DOUBLE
        assert left is not None and right is not None
        return widest((left, right))

    def _condition(self, node: Node) -> None:
        type_ = self.type_of(node)
        if type_ is not T.BOOL:
            raise fail(f"a condition is needed here, not {_name(type_)}.", node.start)

    def _comparable(self, left: Node, right: Node, op: str) -> None:
        one, other = self.type_of(left), self.type_of(right)
        if one is None or other is None or one is other or (one.is_number and other.is_number):
            return
        raise fail(f"{op} cannot compare {_name(one)} with {_name(other)}: cast one of them.", right.start)

    def _case(self, node: ast.Case) -> Type:
        for condition, _ in node.whens:
            if node.operand is None:
                self._condition(condition)
            else:
                self._comparable(node.operand, condition, "case")
        results = [result for _, result in node.whens] + ([node.otherwise] if node.otherwise is not None else [])
        try:
            return common_type([self.type_of(result) for result in results])
        except ValueError as error:
            raise fail(f"the branches of case differ: {error}.", node.start) from None

    def _cast(self, node: ast.Cast) -> Type:
        source = self.type_of(node.operand)
        if node.type is T.DATE and source not in (T.STRING, T.DATE, T.TIMESTAMP, None):
            raise fail(f"{_name(source)} cannot become a date.", node.operand.start)
        return node.type

    # --- calls ---

    def _call(self, node: ast.Call, *, wants_strings: bool = False) -> Type:
        function = functions.find(node.name)
        if function is None:
            raise _unknown_function(node)
        if function.is_aggregate:
            self._check_place(function, node)
        least, most = function.least_arguments, function.most_arguments
        if len(node.args) < least or (most is not None and len(node.args) > most):
            raise fail(f"{function.signature} takes {_count(least, most)}, found {len(node.args)}.", node.start)
        if function.gives_strings and not wants_strings:
            raise fail(f"{node.name} gives a list of strings: take join({node.name}(...), '') or size({node.name}(...)).", node.start)
        if function.is_aggregate and not any(isinstance(part, ast.Column | ast.Star) for part in ast.walk(node)):
            raise fail(f"{node.name} has nothing to run over: name a column, or write count(*).", node.start)
        outer = self._aggregate, self._row
        types: list[Type] = []
        for rule, arg in zip(function.rules_for(len(node.args)), node.args, strict=True):
            if function.is_aggregate:
                self._aggregate, self._row = function, rule.row
            types.append(self._argument(function, rule, arg))
            self._aggregate, self._row = outer
        if not callable(function.result):
            return function.result
        try:
            return function.result(tuple(types))
        except ValueError as error:
            raise fail(f"{node.name}: {error}.", node.start) from None

    def _check_place(self, function: Function, node: ast.Call) -> None:
        if not self._windowed:
            raise fail(f"{node.name} runs over a window, which only a feature can name, with over.", node.start)
        if self._aggregate is not None and not (function.name == "at" and self._row):
            raise fail(f"{node.name} cannot stand inside {self._aggregate.name}.", node.start)

    def _argument(self, function: Function, rule: Argument, arg: Node) -> Type:
        if isinstance(arg, ast.Star) and rule.star:
            return None
        if rule.constant:
            self._check_constant(function, rule, arg)
            return ast.constant_type(arg)
        if rule.strings:
            inner = functions.find(arg.name) if isinstance(arg, ast.Call) else None
            if not isinstance(arg, ast.Call) or inner is None or not inner.gives_strings:
                raise fail(f"{rule.name} of {function.signature} is a list of strings, as split gives it.", arg.start)
            return self._call(arg, wants_strings=True)
        if rule.column and not isinstance(arg, ast.Column):
            raise fail(f"{rule.name} of {function.signature} is a column, no expression.", arg.start)
        type_ = self.type_of(arg)
        if type_ is None and rule.null:
            return None
        if type_ not in rule.types:
            allowed = ", ".join(t.value for t in rule.types)
            raise fail(f"{rule.name} of {function.signature} is {_name(type_)}; it takes {allowed}.", arg.start)
        return type_

    def _check_constant(self, function: Function, rule: Argument, arg: Node) -> None:
        value, type_ = ast.constant(arg), ast.constant_type(arg)
        if value is None or type_ not in rule.types:
            what = "a whole number" if T.INT in rule.types else "a number with a decimal point, such as 0.5"
            raise fail(f"{rule.name} of {function.signature} is {what}, written out.", arg.start)
        if (rule.least is not None and value < rule.least) or (rule.most is not None and value > rule.most):
            most = f" and at most {rule.most}" if rule.most is not None else ""
            raise fail(f"{rule.name} of {function.signature} is at least {rule.least}{most}.", arg.start)
        if rule.without is not None and value == rule.without:
            raise fail(f"{rule.name} of {function.signature} is not {rule.without}.", arg.start)


def _unknown_function(node: ast.Call) -> ExpressionError:
    renamed = functions.renamed_in(node.name)
    if renamed:
        message = f"write {renamed} for {node.name}: the SQL gets the name that the OpenMLDB version knows."
        return fail(message, node.start)
    error = fail(f"there is no function {node.name!r}.", node.start)
    return ExpressionError(error.reason, column=error.column, hint=nearest(node.name, functions.names()))


def _name(type_: Type) -> str:
    return "null" if type_ is None else type_.value


def _count(least: int, most: int | None) -> str:
    if most is None:
        return f"{_count(least, least)} or more"
    if least != most:
        return f"{least} to {most} arguments"
    return "1 argument" if least == 1 else f"{least} arguments"

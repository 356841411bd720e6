"""A Pratt parser for OpenMLDB's expressions.

Precedence is that of OpenMLDB's own grammar, from loose to tight: or, xor, and, not (also written `!`), comparison (=, <, LIKE, ILIKE, RLIKE, IN,
BETWEEN, IS; they do not chain), + and -, then * / % div, then unary minus.
"""

from __future__ import annotations

from jdrec.features import expression as ast
from jdrec.features.expression import Node
from jdrec.features.lexer import Token, fail, tokens
from jdrec.features.types import SqlType

_OR, _XOR, _AND, _NOT, _COMPARISON, _SUM, _PRODUCT, _SIGN = range(10, 90, 10)
_MAX_DEPTH = 64

_BINARY = {
    "or": _OR,
    "xor": _XOR,
    "and": _AND,
    "=": _COMPARISON,
    "==": _COMPARISON,
    "!=": _COMPARISON,
    "<>": _COMPARISON,
    "<": _COMPARISON,
    "<=": _COMPARISON,
    ">": _COMPARISON,
    ">=": _COMPARISON,
    "+": _SUM,
    "-": _SUM,
    "*": _PRODUCT,
    "/": _PRODUCT,
    "%": _PRODUCT,
    "div": _PRODUCT,
}
_LIKES = ("like", "ilike", "rlike")
_PREDICATES = ("in", *_LIKES, "between", "is", "not")  # binary operators of their own shape; `not` starts NOT IN, NOT LIKE ...
_SPELLING = {"==": "=", "<>": "!="}

TYPE_NAMES = {
    "bool": SqlType.BOOL,
    "smallint": SqlType.SMALLINT,
    "int16": SqlType.SMALLINT,
    "int": SqlType.INT,
    "int32": SqlType.INT,
    "bigint": SqlType.BIGINT,
    "int64": SqlType.BIGINT,
    "float": SqlType.FLOAT,
    "double": SqlType.DOUBLE,
    "string": SqlType.STRING,
    "varchar": SqlType.STRING,
    "date": SqlType.DATE,
    "timestamp": SqlType.TIMESTAMP,
}


class Parser:
    """Reads one expression; `parse` is the only entry."""

    def __init__(self, text: str):
        self._tokens = tokens(text)
        self._at = 0
        self._depth = 0

    def parse(self) -> Node:
        if self._peek.kind == "end":
            raise fail("the expression is empty.", 0)
        node = self._expression(0)
        token = self._peek
        if token.kind != "end":
            raise self._unexpected(token)
        return node

    # --- tokens ---

    @property
    def _peek(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _is(self, *values: str) -> bool:
        return self._peek.kind in ("operator", "keyword") and self._peek.value in values

    def _take(self, *values: str) -> Token | None:
        return self._next() if self._is(*values) else None

    def _expect(self, value: str, after: str) -> Token:
        token = self._take(value)
        if token is None:
            raise fail(f"expected {value!r} {after}, found {self._peek}.", self._peek.start)
        return token

    def _unexpected(self, token: Token) -> Exception:
        if token.kind == "keyword" and token.value == "over":
            return fail("the window is named beside the expression (over: <window>), not inside it.", token.start)
        if token.kind == "keyword" and token.value == "as":
            return fail("an expression has no alias: the feature's key in the YAML is its name.", token.start)
        return fail(f"unexpected {token}.", token.start)

    # --- expressions ---

    def _expression(self, floor: int) -> Node:
        """An expression whose operators all bind tighter than `floor`."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise fail(f"more than {_MAX_DEPTH} levels of nesting.", self._peek.start)
        start = self._peek.start
        left = self._prefix(floor)
        while True:
            token = self._peek
            if token.kind not in ("operator", "keyword"):
                break
            if token.value in _PREDICATES:
                if floor >= _COMPARISON:
                    break
                left = self._predicate(left, start)
                floor = self._no_chain(floor)
            elif _BINARY.get(token.value, 0) > floor:
                self._next()
                power = _BINARY[token.value]
                right = self._expression(power)
                left = ast.Binary(start, self._end, _SPELLING.get(token.value, token.value), left, right)
                if power == _COMPARISON:
                    floor = self._no_chain(floor)
            else:
                break
        self._depth -= 1
        return left

    @property
    def _end(self) -> int:
        """Where the last token read ends."""
        return self._tokens[self._at - 1].end

    def _no_chain(self, floor: int) -> int:
        token = self._peek
        if token.kind in ("operator", "keyword") and (token.value in _PREDICATES or _BINARY.get(token.value) == _COMPARISON):
            raise fail(f"comparisons do not chain: put parentheses around one before {token}.", token.start)
        return floor

    def _predicate(self, left: Node, start: int) -> Node:
        negated = self._take("not") is not None
        token = self._next()
        if token.value in _LIKES and token.kind == "keyword":
            pattern = self._expression(_COMPARISON)
            escape = self._escape(token) if self._take("escape") else None
            return ast.Like(start, self._end, left, pattern, negated, token.value, escape)
        if token.value == "in" and token.kind == "keyword":
            self._expect("(", "after in")
            options = self._arguments(")")
            if not options:
                raise fail("in needs at least one value.", token.start)
            return ast.In(start, self._end, left, options, negated)
        if token.value == "between" and token.kind == "keyword":
            low = self._expression(_COMPARISON)
            self._expect("and", "after the lower bound of between")
            high = self._expression(_COMPARISON)
            return ast.Between(start, self._end, left, low, high, negated)
        if token.value == "is" and token.kind == "keyword" and not negated:
            negated = self._take("not") is not None
            if not self._take("null"):
                raise fail(f"expected null after is, found {self._peek}.", self._peek.start)
            return ast.IsNull(start, self._end, left, negated, token.start)
        raise self._unexpected(token)

    def _escape(self, like: Token) -> str:
        token = self._next()
        if like.value == "rlike":
            raise fail("rlike has no escape.", token.start)
        if token.kind != "string" or len(token.value.encode()) > 1:
            raise fail("escape is a string of one ASCII character, or of none, written out.", token.start)
        return token.value

    def _arguments(self, close: str) -> tuple[Node, ...]:
        """Expressions up to and including `close`, separated by commas."""
        if self._take(close):
            return ()
        found = [self._argument()]
        while self._take(","):
            found.append(self._argument())
        self._expect(close, "or ','")
        return tuple(found)

    def _argument(self) -> Node:
        token = self._peek
        following = self._tokens[min(self._at + 1, len(self._tokens) - 1)]
        if token.kind == "operator" and token.value == "*" and (following.value in (",", ")") or following.kind == "end"):
            self._next()
            return ast.Star(token.start, token.end)
        return self._expression(0)

    def _prefix(self, floor: int) -> Node:
        token = self._next()
        if token.kind == "number":
            return _number(token)
        if token.kind == "interval":
            return ast.Literal(token.start, token.end, int(token.value[:-1]), None, token.value[-1].lower())
        if token.kind == "string":
            return ast.Literal(token.start, token.end, token.value, SqlType.STRING)
        if token.kind in ("name", "quoted_name"):
            return self._name(token)
        if token.kind == "operator" and token.value == "(":
            inner = self._expression(0)
            self._expect(")", "to close '('")
            return inner
        if token.kind == "operator" and token.value == "-":
            operand = self._expression(_SIGN)
            return ast.Unary(token.start, self._end, "-", operand)
        if token.value in ("not", "!") and token.kind in ("operator", "keyword"):
            if floor > _NOT:
                raise fail(f"{token} binds more loosely than what stands before it: put parentheses around it.", token.start)
            operand = self._expression(_NOT)
            return ast.Unary(token.start, self._end, "not", operand)
        if token.kind == "keyword":
            if token.value in ("true", "false"):
                return ast.Literal(token.start, token.end, token.value == "true", SqlType.BOOL)
            if token.value == "null":
                return ast.Literal(token.start, token.end, None)
            if token.value == "case":
                return self._case(token)
            if token.value == "cast":
                return self._cast(token)
        if token.kind == "end":
            raise fail("the expression ends too early.", token.start)
        raise self._unexpected(token)

    def _name(self, token: Token) -> Node:
        if self._take("."):
            column = self._next()
            if column.kind not in ("name", "quoted_name"):
                raise fail(f"expected a column after '{token.value}.', found {column}.", column.start)
            return ast.Column(token.start, column.end, column.value, token.value)
        if self._is("("):
            self._next()
            name = token.value.lower()
            args = self._arguments(")")
            if name in TYPE_NAMES:
                if len(args) != 1 or isinstance(args[0], ast.Star):
                    raise fail(f"{name}(x) converts one value.", token.start)
                return ast.Cast(token.start, self._end, args[0], TYPE_NAMES[name])
            return ast.Call(token.start, self._end, name, args)
        return ast.Column(token.start, token.end, token.value)

    def _case(self, case: Token) -> Node:
        operand = None if self._is("when") else self._expression(0)
        whens = []
        while self._take("when"):
            condition = self._expression(0)
            self._expect("then", "after the condition of when")
            whens.append((condition, self._expression(0)))
        if not whens:
            raise fail("case needs at least one when.", case.start)
        otherwise = self._expression(0) if self._take("else") else None
        self._expect("end", "to close case")
        return ast.Case(case.start, self._end, operand, tuple(whens), otherwise)

    def _cast(self, cast: Token) -> Node:
        self._expect("(", "after cast")
        operand = self._expression(0)
        self._expect("as", "and a type in cast(x as type)")
        token = self._next()
        if token.kind != "name" or token.value.lower() not in TYPE_NAMES:
            raise fail(f"{token} is not a type. Types: {', '.join(type_.value for type_ in SqlType)}.", token.start)
        self._expect(")", "to close cast(")
        return ast.Cast(cast.start, self._end, operand, TYPE_NAMES[token.value.lower()])


def _number(token: Token) -> ast.Literal:
    """A literal with the type that OpenMLDB gives it: int, bigint, double, or float and bigint by the suffixes f and L."""
    text = token.value.lower()
    if text.endswith("f"):
        return ast.Literal(token.start, token.end, float(text[:-1]), SqlType.FLOAT)
    if "." in text or "e" in text:
        return ast.Literal(token.start, token.end, float(text), SqlType.DOUBLE)
    value = int(text.rstrip("l"))
    if value >= 2**63:
        raise fail("the number does not fit a bigint.", token.start)
    long = text.endswith("l") or value >= 2**31
    return ast.Literal(token.start, token.end, value, SqlType.BIGINT if long else SqlType.INT)

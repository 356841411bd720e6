"""Random expressions that are well typed, over the functions that the registry lists."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection

from jdrec.features import functions
from jdrec.features.functions.rules import TEXT, Argument, Function, common_type
from jdrec.features.types import SqlType
from tests.parity.data import ASCII, WILD

T = SqlType
Typed = tuple[str, SqlType]

_COMPARISONS = ("=", "!=", "<", "<=", ">", ">=")
_PATTERNS = ("'a%'", "'%b'", "'_'", "'%'", "''", "'a_b'", "'%0%'")
_REGULAR = ("'a'", "'^[a-z]+$'", "'[0-9]{2}'", "'^$'", "'(a|b).b'")
_JSON = (
    """'{"a": {"b": 1, "c": "x"}, "d": [1, 2.5, null]}'""",
    """'[1, "two", [3]]'""",
    """'{"a": true}'""",
    "'[]'",
)
_TRIES = 12

ORDERLESS = ("count", "count_where", "distinct_count", "topn_frequency", "top1_ratio", "top", "min", "max", "min_where", "max_where")
ANY_CONDITION = ("count_where", "sum_where", "avg_where", "min_where", "max_where")
UNFIT = ("unhex", "add_months")  # which are NULL by chance
NOT_OF_NAN = ("topn_frequency", "top", "top1_ratio", "entropy", "median")  # sets and sorts of what is not equal to itself
NOT_OF_EMPTY = ("upper", "lower", "reverse")  # whose result of '' is '' or NULL, by chance
BYTES = ("reverse", "substr")  # which may cut a character in two


class Maker:
    """Makes expressions over some columns.

    Args:
        columns: what may be named, as written, e.g. "i" or "product.br".
        windowed: whether values come from aggregates over a window.
        branches: whether aggregates may stand in branches of CASE, AND and OR.
        ordered: whether aggregates may depend on the order of rows at the same time.
        known: names of the functions that may be used.
    """

    def __init__(
        self,
        rng: random.Random,
        columns: dict[str, SqlType],
        *,
        windowed: bool,
        known: Collection[str],
        branches: bool = True,
        ordered: bool = True,
    ):
        self.rng, self.columns, self.branches, self.ordered = rng, columns, branches, ordered
        self._row = not windowed  # whether columns are read from a row, or rows are aggregated
        self._scalars = [f for name, f in functions.FUNCTIONS.items() if name in known and not f.is_aggregate and name not in UNFIT]
        self._aggregates = [
            f for name, f in functions.FUNCTIONS.items() if name in known and f.is_aggregate and (ordered or name in ORDERLESS)
        ]
        self._within: Function | None = None

    def any(self, depth: int) -> Typed:
        """An expression of any type, at most `depth` operators deep."""
        if depth <= 0 or self.rng.random() < 0.3:
            return self.atom(depth)
        makers: list[Callable[[int], Typed | None]] = [
            self.arithmetic, self.comparison, self.if_null, self.scalar, self.predicate, self.cast, self.negative
        ]  # fmt: skip
        if self._row or self.branches:
            makers += [self.case, self.logic]
        for _ in range(_TRIES):
            made = self.rng.choice(makers)(depth - 1)
            if made is not None:
                return made
        return self.atom(depth)

    def of(self, types: Collection[SqlType], depth: int) -> Typed | None:
        """An expression of one of these types; None if none was found."""
        for _ in range(_TRIES):
            made = self.any(depth)
            if made[1] in types:
                return made
        if self._row and (column := self.column(types)) is not None:
            return column
        if self._row:
            return self.literal(self.rng.choice(sorted(types)))
        for _ in range(4 * _TRIES):
            made = self.aggregate(0)
            if made is not None and made[1] in types:
                return made
        return self.literal(self.rng.choice(sorted(types)))

    # --- leaves ---

    def atom(self, depth: int) -> Typed:
        if not self._row:
            for _ in range(_TRIES):
                made = self.aggregate(depth - 1)
                if made is not None:
                    return made
        if self._row and self.rng.random() < 0.85 and self.columns:
            return self.rng.choice(list(self.columns.items()))
        return self.literal(self.rng.choice(list(T)))

    def column(self, types: Collection[SqlType]) -> Typed | None:
        """A column of one of these types."""
        fitting = [(name, type_) for name, type_ in self.columns.items() if type_ in types]
        return self.rng.choice(fitting) if fitting else None

    def reads_column(self, text: str) -> bool:
        """Whether an expression names a column: OpenMLDB does not aggregate constants."""
        return any(re.search(rf"(?<![\w']){re.escape(name)}(?![\w'(])", text) for name in self.columns)

    def literal(self, type_: SqlType) -> Typed:
        number = self.rng.choice([0, 1, 2, 3, 10])
        text = {
            T.BOOL: self.rng.choice(["true", "false"]),
            T.SMALLINT: f"smallint({number})",
            T.INT: str(number),
            T.BIGINT: f"{number}L",
            T.FLOAT: f"float({number}.5)",
            T.DOUBLE: f"{number}.25",
            T.STRING: self.rng.choice(["'a'", "''", "'10'", "'it\\'s'", "'京东'"]),
            T.DATE: "date('2016-03-31')",
            T.TIMESTAMP: "timestamp(1459419080000L)",
        }[type_]
        return text, type_

    def aggregate(self, depth: int) -> Typed | None:
        return self.call(self.rng.choice(self._aggregates), depth)

    # --- calls ---

    def scalar(self, depth: int) -> Typed | None:
        chosen = [function for function in self._scalars if not function.gives_strings]
        return self.call(self.rng.choice(chosen), depth) if chosen else None

    def call(self, function: Function, depth: int) -> Typed | None:
        """A call with random arguments; None if they do not fit."""
        texts: list[str] = []
        types: list[SqlType | None] = []
        outer = self._row, self._within
        if function.is_aggregate:
            self._row, self._within = True, function
        try:
            for rule in function.rules_for(self.rng.randint(function.least_arguments, len(function.args))):
                if rule.constant:
                    constant = self.constant(rule)
                    texts.append(constant[0])
                    types.append(constant[1])
                elif rule.strings:
                    texts.append(self.strings(depth))
                    types.append(T.STRING)
                elif rule.star and self.rng.random() < 0.3:
                    texts.append("*")
                    types.append(None)
                elif not texts and function.name in BYTES:
                    texts.append(self.ascii())
                    types.append(T.STRING)
                else:
                    made = self.condition(function) if rule.row else None
                    made = made or (self.column(rule.types) if rule.column else self.of(rule.types, depth))
                    if function.is_aggregate and made is not None and not self.reads_column(made[0]):
                        made = self.column(rule.types)
                    if function.name in NOT_OF_NAN and made is not None and made[1] is not None and made[1].is_float:
                        made = self.column(rule.types)
                    if made is None or made[1] not in rule.types:
                        return None
                    texts.append(made[0])
                    types.append(made[1])
        finally:
            self._row, self._within = outer
        try:
            result = function.result(tuple(types)) if callable(function.result) else function.result
        except ValueError:
            return None
        if result is None:
            return None
        if function.name == "regexp_like":
            texts[1] = self.rng.choice(_REGULAR)
            texts[2:] = ["'i'"] if len(texts) > 2 else []
        elif function.name in ("get_json_object", "json_array_length"):
            json = self.rng.sample(_JSON, 2)
            texts[0] = f"(case when ({texts[0]} = 'a') then {json[0]} else {json[1]} end)" if self._row else json[0]
            texts[1:] = [self.rng.choice(["'/a/b'", "'/a'", "'/d/1'", "'/d'", "'/1'", "'/x'"])] if len(texts) > 1 else []
        elif function.name in NOT_OF_EMPTY:
            texts[0] = f"concat('x', {texts[0]})"
        elif function.name == "unix_timestamp":  # of NULL and '' it gives the present moment
            texts[0] = f"if_null({texts[0]}, date('2016-03-31'))" if types[0] is T.DATE else "'2016-03-31 10:00:00'"
        elif function.name == "char":
            texts[0] = f"pmod({texts[0]}, 94) + 33"
        text = f"{self.written(function)}({', '.join(texts)})"
        return (f"({text} > 0)", T.BOOL) if function.name == "strcmp" else (text, result)  # of which only the sign is defined

    def turn(self, number: int, depth: int) -> Typed | None:
        """A call of the function whose turn it is, so that few cases have them all."""
        functions_ = [f for f in self._scalars if not f.gives_strings] if self._row else self._aggregates
        return self.call(functions_[number % len(functions_)], depth)

    def written(self, function: Function) -> str:
        """Its name, or now and then another one that it has."""
        return self.rng.choice(function.aliases) if function.aliases and self.rng.random() < 0.2 else function.name

    def ascii(self) -> str:
        """Text whose parts are text too."""
        fitting = [name for name in self.columns if name.rpartition(".")[2] in ASCII]
        if self._row and fitting and self.rng.random() < 0.8:
            return self.rng.choice(fitting)
        literal = self.rng.choice(["'ab_c'", "'10'", "''"])
        if self._row or "max" not in {f.name for f in self._aggregates} or not fitting:
            return literal
        return f"max({self.rng.choice(fitting)})"

    def constant(self, rule: Argument) -> Typed:
        """A number written out."""
        if T.DOUBLE in rule.types:
            return self.rng.choice(["0.5", "0.25", "0.9"]), T.DOUBLE
        if rule.least is None:
            return str(self.rng.choice([-3, -2, -1, 1, 2, 3])), T.INT
        most = min(rule.most if rule.most is not None else 4, rule.least + 4)
        number = str(self.rng.randint(rule.least, most))
        return (f"{number}L", T.BIGINT) if T.BIGINT in rule.types and self.rng.random() < 0.2 else (number, T.INT)

    def strings(self, depth: int) -> str:
        """A list of strings."""
        text = self.of(TEXT, depth)
        assert text is not None
        name = self.rng.choice([f.name for f in functions.FUNCTIONS.values() if f.gives_strings])
        return f"{name}({text[0]}, ' ')" if name == "split" else f"{name}({text[0]}, ' ', '_')"

    def condition(self, function: Function) -> Typed | None:
        """A plain condition on a column for the _where functions; None: any expression will do.

        For all but a few of them OpenMLDB takes what negates a bool for true, see docs/parity.md.
        """
        plain = function.name not in ANY_CONDITION
        if not plain and self.rng.random() < 0.7:
            return None
        fitting = [(name, type_) for name, type_ in self.columns.items() if type_ is not T.BOOL or not plain]
        name, type_ = self.rng.choice(fitting)
        other = f"at({name}, {self.rng.choice([0, 0, 1])})" if self.ordered and self.rng.random() < 0.5 else self.literal(type_)[0]
        return f"{name} {self.rng.choice(_COMPARISONS)} {other}", T.BOOL

    # --- operators ---

    def arithmetic(self, depth: int) -> Typed | None:
        op = self.rng.choice(["+", "-", "*", "/", "%", "div"])
        numbers = (T.SMALLINT, T.INT, T.BIGINT) if op in ("%", "div") else (T.SMALLINT, T.INT, T.BIGINT, T.FLOAT, T.DOUBLE)
        left = self.of(numbers, depth)
        if left is None or left[1] not in numbers:
            return None
        right = (str(self.rng.choice([1, 2, 3, 7])), T.INT) if op in ("%", "div") else self.of(numbers, depth)
        if right is None or right[1] not in numbers:
            return None
        type_ = T.DOUBLE if op == "/" else max(left[1], right[1], key=[T.SMALLINT, T.INT, T.BIGINT, T.FLOAT, T.DOUBLE].index)
        return f"({left[0]} {op} {right[0]})", type_

    def negative(self, depth: int) -> Typed | None:
        operand = self.of((T.INT, T.BIGINT, T.DOUBLE), depth)
        return (f"(-{operand[0]})", operand[1]) if operand is not None and operand[1].is_number else None

    def pair(self, depth: int) -> tuple[Typed, Typed] | None:
        """Two values that can be compared."""
        left = self.any(depth)
        right = self.of([type_ for type_ in T if type_ is left[1] or (type_.is_number and left[1].is_number)], depth)
        return (left, right) if right is not None else None

    def comparison(self, depth: int) -> Typed | None:
        pair = self.pair(depth)
        return (f"({pair[0][0]} {self.rng.choice(_COMPARISONS)} {pair[1][0]})", T.BOOL) if pair else None

    def logic(self, depth: int) -> Typed | None:
        left, right = self.of((T.BOOL,), depth), self.of((T.BOOL,), depth)
        if left is None or right is None:
            return None
        if self.rng.random() < 0.25:
            return f"(not {left[0]})", T.BOOL
        return f"({left[0]} {self.rng.choice(['and', 'or', 'xor'])} {right[0]})", T.BOOL

    def case(self, depth: int) -> Typed | None:
        condition, first = self.of((T.BOOL,), depth), self.any(depth)
        if condition is None:
            return None
        kind = self.rng.random() if self._within is None else 1.0  # within aggregates OpenMLDB mistakes such a NULL, see docs/parity.md
        if kind < 0.3:
            return f"(case when {condition[0]} then {first[0]} else null end)", first[1]
        if kind < 0.4:
            return f"(case when {condition[0]} then {first[0]} end)", first[1]
        other = self.of([type_ for type_ in T if type_ is first[1] or (type_.is_number and first[1].is_number)], depth)
        if other is None:
            return None
        type_ = common_type([first[1], other[1]])
        assert type_ is not None
        return f"(case when {condition[0]} then {first[0]} else {other[0]} end)", type_

    def if_null(self, depth: int) -> Typed | None:
        value = self.any(depth)
        default = self.literal(value[1])
        return f"if_null({value[0]}, {default[0]})", value[1]

    def predicate(self, depth: int) -> Typed | None:
        kind = self.rng.choice(["null", "in", "between", "like", "ilike", "rlike"])
        negated = self.rng.choice(["", "not "])
        if kind == "null":
            return f"({self.any(depth)[0]} is {negated}null)", T.BOOL
        if kind.endswith("like"):
            text = self.of((T.STRING,), depth)
            pattern = self.rng.choice(_REGULAR if kind == "rlike" else _PATTERNS)
            if kind != "rlike" and self.rng.random() < 0.2:
                pattern = self.rng.choice(["'a!_b' escape '!'", "'a|%%' escape '|'"])
            return (f"({text[0]} {negated}{kind} {pattern})", T.BOOL) if text and text[1] is T.STRING else None
        pair = self.pair(depth)
        if pair is None:
            return None
        other = self.literal(pair[0][1])[0]
        if kind == "in":
            return f"({pair[0][0]} {negated}in ({pair[1][0]}, {other}))", T.BOOL
        return f"({pair[0][0]} {negated}between {other} and {pair[1][0]})", T.BOOL

    def cast(self, depth: int) -> Typed | None:
        """A conversion whose result is defined: no number that the target could not hold."""
        del depth
        if not self._row:
            return None
        fitting = [(name, type_) for name, type_ in self.columns.items() if name.rpartition(".")[2] not in WILD]
        name, source = self.rng.choice(fitting)
        targets = {
            T.BOOL: [T.INT, T.DOUBLE, T.STRING],
            T.SMALLINT: [T.INT, T.BIGINT, T.FLOAT, T.DOUBLE, T.STRING, T.BOOL],
            T.INT: [T.SMALLINT, T.BIGINT, T.FLOAT, T.DOUBLE, T.STRING, T.BOOL],
            T.BIGINT: [T.INT, T.DOUBLE, T.STRING],
            T.FLOAT: [T.INT, T.DOUBLE],
            T.DOUBLE: [T.INT, T.BIGINT, T.FLOAT],
            T.STRING: [T.INT, T.BIGINT, T.DOUBLE],
            T.DATE: [T.STRING, T.TIMESTAMP],
            T.TIMESTAMP: [T.STRING, T.BIGINT, T.DATE],
        }[source]
        target = self.rng.choice(targets)
        if self.rng.random() < 0.5:
            return f"cast({name} as {target.value})", target
        return f"{target.value}({name})", target

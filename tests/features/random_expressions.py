"""Random expressions of the feature language over columns c_bool, c_smallint, ..., most of which do not type."""

from __future__ import annotations

from random import Random

from jdrec.features.types import SqlType

_TYPES = [type_.value for type_ in SqlType]
_LITERALS = ["true", "smallint(3)", "1", "-7", "3L", "9999999999", "1.5f", "2.5", "1e3", "'a'", '"b%"', "''", "'it\\'s'", "null"]
_LITERALS += ["date('2016-01-02')", "timestamp(1000)"]
_TEMPLATES = [
    "{0} {arithmetic} {1}",
    "{0} {comparison} {1}",
    "{0} {logic} {1}",
    "not {0}",
    "!{0}",
    "-{0}",
    "case when {0} then {1} else {2} end",
    "case {0} when {1} then {2} end",
    "{0} in ({1}, {2})",
    "{0} not between {1} and {2}",
    "{0} is null",
    "{0} is not null",
    "{type}({0})",
    "cast({0} as {type})",
    "if_null({0}, {1})",
    "isnull({0})",
    "{calendar}({0})",
    "{0} like {1}",
    "{0} ilike {1} escape '!'",
    "{0} not rlike {1}",
]
_AGGREGATES = [
    "{aggregate}({0})",
    "topn_frequency({0}, 2)",
    "count_where({0}, {1})",
    "at({column}, 2)",
    "first_value({column})",
    "count(*)",
]
_CHOICES = {
    "arithmetic": ["+", "-", "*", "/", "%", "div"],
    "comparison": ["=", "!=", "<", "<=", ">", ">=", "<>", "=="],
    "logic": ["and", "or", "xor"],
    "type": _TYPES,
    "calendar": ["dayofweek", "day", "month", "year", "hour", "minute", "second"],
    "aggregate": ["count", "sum", "avg", "min", "max", "distinct_count", "top1_ratio"],
    "column": [f"c_{type_}" for type_ in _TYPES],
}


def expression(random: Random, depth: int, *, aggregates: bool = True) -> str:
    """An expression of at most `depth` levels, with parentheses here and there."""
    if depth == 0 or random.random() < 0.15:
        return random.choice(_LITERALS) if random.random() < 0.35 else random.choice(_CHOICES["column"])
    aggregate = aggregates and random.random() < 0.15
    parts = [expression(random, depth - 1, aggregates=aggregates and not aggregate) for _ in range(3)]
    parts = [f"({part})" if random.random() < 0.5 else part for part in parts]
    words = {name: random.choice(choices) for name, choices in _CHOICES.items()}
    return random.choice(_AGGREGATES if aggregate else _TEMPLATES).format(*parts, **words)

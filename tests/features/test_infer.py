"""Types of expressions: literal cases, refusals, and agreement with OpenMLDB's compiler over all types."""

from __future__ import annotations

import itertools
from random import Random

import pytest

from jdrec.config import Config, load
from jdrec.errors import ExpressionError
from jdrec.features import compiler
from jdrec.features.expression import Column, parse
from jdrec.features.functions import FUNCTIONS
from jdrec.features.functions.examples import examples
from jdrec.features.infer import Inference
from jdrec.features.resolve import resolve
from jdrec.features.sql import query
from jdrec.features.types import SqlType
from tests.features.random_expressions import expression
from tests.features.small import ALL_TYPES

COLUMNS = {f"c_{name}": SqlType(name) for name in ALL_TYPES}


def type_of(text: str, *, windowed: bool = True) -> SqlType | None:
    def column(node: Column) -> SqlType:
        return COLUMNS[node.name]

    return Inference(column, windowed=windowed).type_of(parse(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("c_int + 1", "int"),
        ("c_int + c_bigint", "bigint"),
        ("c_bigint + c_float", "float"),
        ("c_int / 2", "double"),
        ("c_smallint div 2", "int"),
        ("c_timestamp + 1000", "timestamp"),
        ("bigint(c_timestamp) - bigint(max(c_timestamp))", "bigint"),
        ("count(*)", "bigint"),
        ("sum(c_int)", "int"),
        ("sum(c_float)", "float"),
        ("avg(c_int)", "double"),
        ("at(c_string, 3)", "string"),
        ("topn_frequency(c_int, 3)", "string"),
        ("count_where(c_string, c_string = at(c_string, 0))", "bigint"),
        ("count(c_int) / count(*)", "double"),
        ("case when c_bool then 1 else 2.5 end", "double"),
        ("case when c_bool then c_bigint else c_float end", "double"),
        ("case when c_bool then 1 else null end", "int"),
        ("if_null(sum(c_int), 0)", "int"),
        ("if_null(c_string, '')", "string"),
        ("dayofweek(timestamp(c_bigint))", "int"),
        ("!isnull(at(c_string, 0))", "bool"),
        ("c_string is null", "bool"),
        ("null", None),
    ],
)
def test_types(text: str, expected: str | None) -> None:
    assert type_of(text) == (None if expected is None else SqlType(expected))


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ("c_string + 1", 1, "+ needs numbers, not string."),
        ("1 - c_timestamp", 5, "- needs numbers, not timestamp. Take bigint(x) for its milliseconds."),
        ("c_double div 2", 1, "div needs integers, not double."),
        ("-c_string", 2, "- needs a number, not string."),
        ("c_int and c_bool", 1, "a condition is needed here, not int."),
        ("!c_int", 2, "a condition is needed here, not int."),
        ("case when c_int then 1 end", 11, "a condition is needed here, not int."),
        ("c_string = 1", 12, "= cannot compare string with int: cast one of them."),
        ("c_timestamp > c_date", 15, "> cannot compare timestamp with date: cast one of them."),
        ("c_int in (1, 'a')", 14, "in cannot compare int with string: cast one of them."),
        ("c_int like 'a'", 1, "like compares strings."),
        ("c_string rlike 1", 16, "rlike compares strings."),
        ("case when c_bool then 'x' else 1 end", 1, "the branches of case differ: string and int have no common type: cast one of them."),
        ("if_null(c_int, 'x')", 1, "if_null: int and string have no common type: cast one of them."),
        ("date(c_int)", 6, "int cannot become a date."),
        ("avg(c_string)", 5, "x of avg(x) is string; it takes smallint, int, bigint, float, double."),
        ("count()", 1, "count(x) takes 1 argument, found 0."),
        ("topn_frequency(c_int)", 1, "topn_frequency(x, n) takes 2 arguments, found 1."),
        ("topn_frequency(c_int, 0)", 23, "n of topn_frequency(x, n) is at least 1 and at most 1024."),
        ("at(c_int, -1)", 11, "n of at(x, n) is at least 0."),
        ("ew_avg(c_int, 1)", 15, "alpha of ew_avg(x, alpha) is a number with a decimal point, such as 0.5, written out."),
        ("ew_avg(c_int, 1.5)", 15, "alpha of ew_avg(x, alpha) is at least 0 and at most 1."),
        ("nth_value_where(c_int, 0, c_bool)", 24, "n of nth_value_where(x, n, condition) is not 0."),
        ("round(c_int, 1, 2)", 1, "round(x[, digits]) takes 1 to 2 arguments, found 3."),
        ("concat()", 1, "concat(x, ...) takes 1 argument or more, found 0."),
        ("split(c_string, ',')", 1, "split gives a list of strings: take join(split(...), '') or size(split(...))."),
        ("join(c_string, ',')", 6, "parts of join(parts, separator) is a list of strings, as split gives it."),
        ("lag(c_int, c_int)", 12, "n of at(x, n) is a whole number, written out."),
        ("first_value(c_int + 1)", 13, "x of first_value(x) is a column, no expression."),
        ("lag(hour(c_timestamp), 1)", 5, "x of at(x, n) is a column, no expression."),
        ("sum(1)", 1, "sum has nothing to run over: name a column, or write count(*)."),
        ("sum(*)", 5, "'*' stands for all rows in count(*) and count_where(*, condition) only."),
        ("sum(max(c_int))", 5, "max cannot stand inside sum."),
        ("sum(at(c_int, 1))", 5, "at cannot stand inside sum."),
        ("count_where(at(c_int, 1), c_bool)", 13, "at cannot stand inside count_where."),
        ("7d", 1, "an interval has no value in an expression; it belongs into a window's range."),
        ("fz_top1_ratio(c_int)", 1, "write top1_ratio for fz_top1_ratio: the SQL gets the name that the OpenMLDB version knows."),
        ("cuont(c_int)", 1, "there is no function 'cuont'."),
    ],
)
def test_refusals(text: str, column: int, reason: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        type_of(text)
    assert (caught.value.column, caught.value.reason) == (column, reason)


def test_an_aggregate_needs_a_window() -> None:
    with pytest.raises(ExpressionError, match=r"column 5: count runs over a window, which only a feature can name, with over\."):
        type_of("1 + count(c_int)", windowed=False)


def test_an_unknown_function_gets_the_nearest_name() -> None:
    with pytest.raises(ExpressionError) as caught:
        type_of("distinctcount(c_int)")
    assert caught.value.hint == "Did you mean 'distinct_count'?"


def candidates() -> list[str]:
    """Expressions over all types and pairs of types; those that are accepted here have to have the compiler's type."""
    columns = [*COLUMNS, "null"]
    pairs = list(itertools.product(columns, columns))
    texts = [f"{a} {op} {b}" for op in ("+", "-", "*", "/", "%", "div", "=", "<", "and", "xor", "like", "rlike") for a, b in pairs]
    texts += [f"{a} not ilike {b} escape '!'" for a, b in pairs]
    texts += [
        template.format(a, b) for template in ("case when c_bool then {} else {} end", "if_null({}, {})", "{} in ({})") for a, b in pairs
    ]
    texts += [f"{a} between {b} and {b}" for a, b in pairs]
    texts += [f"{type_.value}({a})" for type_ in SqlType for a in columns]
    texts += [template.format(a) for template in ("-{}", "not {}", "{} is null", "{} is not null") for a in columns]
    for function in FUNCTIONS.values():
        texts += examples(function)
    return texts


def accepted(text: str, *, windowed: bool) -> bool:
    try:
        return type_of(text, windowed=windowed) is not None
    except ExpressionError:
        return False


def all_types(features: dict[str, dict[str, str]]) -> Config:
    return load(
        {
            "dataset": {
                "root": ".",
                "database": "db",
                "tables": {"t": {"path": "t", "columns": {**{k: v.value for k, v in COLUMNS.items()}, "id": "string"}}},
            },
            "features": {
                "request": {"table": "t", "key": "id", "time": "c_timestamp"},
                "windows": {"w": {"partition_by": "id", "range": "7d"}},
                "features": features,
            },
        }
    )


@pytest.mark.compiler
def test_accepted_expressions_have_the_compilers_type() -> None:
    """Many in a query, for a query costs the compiler more than an expression; but the time grows with the square of its length."""
    random = Random(2016)
    texts = dict.fromkeys(candidates() + [expression(random, 4) for _ in range(300)])
    rows = [{"expr": text} for text in texts if accepted(text, windowed=False)]
    windows = [{"expr": text, "over": "w"} for text in texts if {"expr": text} not in rows and accepted(text, windowed=True)]
    assert len(rows) > 800 and len(windows) > 900
    parts = [group[n : n + 150] for group in (rows, windows) for n in range(0, len(group), 150)]
    sets = [resolve(all_types({f"f{n}": feature for n, feature in enumerate(part)})) for part in parts]
    answers = compiler.answers(sets[0], [query(feature_set, compiler.VERSION) for feature_set in sets])
    for feature_set, answer in zip(sets, answers, strict=True):
        assert "columns" in answer, answer
        types = {f.name: (f.text, f.type.value) for f in feature_set.features}
        assert types == {name: (types[name][0], type_) for name, type_ in answer["columns"]}

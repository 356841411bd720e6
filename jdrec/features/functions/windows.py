"""Aggregates over the rows of a window, which are walked from the newest to the oldest."""

from __future__ import annotations

from typing import Any

from jdrec.features.functions.rules import ANY, NUMBERS, ORDERED, SKIPPED, Argument, Function, T, aggregate, condition, same

_N = Argument("n", (T.INT, T.BIGINT), constant=True, least=1, most=1024)

COUNTS = (
    aggregate(
        "count",
        Argument("x", ANY, star=True),
        result=T.BIGINT,
        nulls="NULL is not counted, count(*) counts every row; an empty window gives 0.",
        doc="Number of rows.",
    ),
    aggregate(
        "count_where",
        Argument("x", ANY, star=True),
        condition(),
        result=T.BIGINT,
        nulls="A NULL x is not counted, a NULL condition is false; an empty window gives 0.",
        doc="Number of rows for which the condition holds.",
    ),
    aggregate(
        "distinct_count",
        Argument("x", ANY),
        result=T.BIGINT,
        nulls="NULL counts as the type's zero value ('' or 0 or the epoch); an empty window gives 0.",
        doc="Number of different values.",
    ),
    aggregate(
        "topn_frequency",
        Argument("x", ORDERED),
        Argument("n", (T.INT,), constant=True, least=1, most=1024),
        result=T.STRING,
        nulls="NULL is skipped; missing places are filled with the text NULL; an empty window gives ''.",
        doc="The n most frequent values, joined by commas; equally frequent ones in ascending order.",
        names={"0.6": "fz_topn_frequency"},
    ),
    aggregate(
        "top1_ratio",
        Argument("x", ORDERED),
        result=T.DOUBLE,
        nulls="NULL is skipped; 0.0 if there is no other value.",
        doc="Share of the most frequent value among the values.",
        names={"0.6": "fz_top1_ratio"},
    ),
    aggregate(
        "top",
        Argument("x", ORDERED),
        _N,
        result=T.STRING,
        nulls="NULL is skipped; '' if there is no other value.",
        doc="The n largest values in descending order, joined by commas; equal ones each count.",
    ),
    aggregate("entropy", Argument("x", ANY), result=T.DOUBLE, nulls=SKIPPED, doc="Shannon entropy of the values, in bits.", since="0.8.0"),
)

_X = Argument("x", NUMBERS)
_SAMPLE = "NULL is skipped; NULL of fewer than two other values."


def _statistic(name: str, doc: str, *more: Argument, nulls: str = SKIPPED, **rest: Any) -> Function:
    """A double made of numbers."""
    return aggregate(name, _X, *more, result=T.DOUBLE, nulls=nulls, doc=doc, **rest)


def _conditional(name: str, doc: str, result: Any = same) -> Function:
    nulls = "A NULL x is skipped, a NULL condition is false; NULL if no row is left."
    return aggregate(name, _X, condition(), result=result, nulls=nulls, doc=doc)


NUMERIC = (
    aggregate(
        "sum", _X, result=same, nulls=SKIPPED, doc="Sum, in the type of x: an int wraps around, a float adds up in single precision."
    ),
    _statistic("avg", "Mean, added up in double precision."),
    aggregate("min", Argument("x", ORDERED), result=same, nulls=SKIPPED, doc="Smallest value; strings compare by bytes."),
    aggregate("max", Argument("x", ORDERED), result=same, nulls=SKIPPED, doc="Largest value; strings compare by bytes."),
    _statistic("median", "Median; the mean of the middle two of an even number."),
    _statistic(
        "stddev", "Standard deviation of a sample (divided by n - 1).", nulls=_SAMPLE, aliases=("std", "stddev_samp"), since="0.7.2"
    ),
    _statistic("stddev_pop", "Standard deviation of a population (divided by n).", since="0.7.2"),
    _statistic("var_samp", "Variance of a sample (divided by n - 1).", nulls=_SAMPLE, aliases=("variance",), since="0.8.0"),
    _statistic("var_pop", "Variance of a population (divided by n).", since="0.8.0"),
    _statistic(
        "ew_avg",
        "Mean in which each value weighs (1 - alpha) times as much as the next newer one.",
        Argument("alpha", (T.DOUBLE,), constant=True, least=0, most=1),
        nulls="NULL is skipped and does not age the others; NULL if there is no other value.",
        since="0.7.2",
    ),
    _statistic(
        "drawdown",
        "Largest fall from a value to a later one, as a share of the former.",
        nulls="NULL and negative values are skipped; NULL if there is no other value.",
        since="0.7.2",
    ),
)

CONDITIONAL = (
    _conditional("sum_where", "Sum over the rows for which the condition holds, in the type of x."),
    _conditional("avg_where", "Mean over the rows for which the condition holds.", T.DOUBLE),
    _conditional("min_where", "Smallest value among the rows for which the condition holds."),
    _conditional("max_where", "Largest value among the rows for which the condition holds."),
    aggregate(
        "nth_value_where",
        Argument("x", ANY),
        Argument("n", (T.INT, T.BIGINT), constant=True, least=None, without=0),
        condition(),
        result=same,
        nulls="A NULL x counts as a row, a NULL condition is false; NULL if there are fewer than n such rows.",
        doc="The value of the n-th oldest row for which the condition holds; with a negative n the n-th newest.",
        since="0.8.0",
    ),
)

PLACES = (
    aggregate(
        "at",
        Argument("x", ANY, column=True),
        Argument("n", (T.INT,), constant=True),
        result=same,
        nulls="NULL values count as rows; NULL if there are fewer than n rows before the current one.",
        doc="The value n rows before the current row; at(x, 0) is the current row's own. As the whole of a feature it does not see the frame's bounds.",
        aliases=("lag",),
    ),
    aggregate(
        "first_value",
        Argument("x", ANY, column=True),
        result=same,
        nulls="NULL values are not skipped; an empty window gives NULL.",
        doc="The value of the oldest row in the frame.",
    ),
)

TABLE: tuple[Function, ...] = (*COUNTS, *NUMERIC, *CONDITIONAL, *PLACES)

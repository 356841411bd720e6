"""Aggregates of each category in a window, as one text `category:value,category:value`.

They are five statistics in four shapes, and two ratios.
"""

from __future__ import annotations

from collections.abc import Iterator

from jdrec.features.functions.rules import ANY, INTEGERS, NUMBERS, Argument, Function, T, aggregate, condition

_CATEGORIES = (*INTEGERS, T.STRING, T.DATE, T.TIMESTAMP)
_EACH = {"count": "Number of rows", "sum": "Sum of x", "avg": "Mean of x", "min": "Smallest x", "max": "Largest x"}
_SKIPPED = "Rows with a NULL x or category are skipped; '' if no row is left."
_WHERE = "Rows with a NULL x or category are skipped, a NULL condition is false; '' if no row is left."


def _arguments(statistic: str) -> tuple[Argument, Argument, Argument, Argument]:
    """x, condition, category, n."""
    values = ANY if statistic == "count" else NUMBERS
    n = Argument("n", (T.INT, T.BIGINT), constant=True, least=1)
    return Argument("x", values), condition(), Argument("category", _CATEGORIES), n


def _statistics() -> Iterator[Function]:
    for statistic, what in _EACH.items():
        x, where, category, n = _arguments(statistic)
        of_each = f"{what} of each category"
        text = {"result": T.STRING}
        yield aggregate(f"{statistic}_cate", x, category, nulls=_SKIPPED, doc=f"{of_each}, in ascending order of categories.", **text)
        yield aggregate(
            f"{statistic}_cate_where",
            x,
            where,
            category,
            nulls=_WHERE,
            doc=f"{of_each} among the rows for which the condition holds, in ascending order of categories.",
            **text,
        )
        yield aggregate(
            f"top_n_key_{statistic}_cate_where",
            x,
            where,
            category,
            n,
            nulls=_WHERE,
            doc=f"{of_each} among the rows for which the condition holds, for the n largest categories in descending order.",
            **text,
        )
        yield aggregate(
            f"top_n_value_{statistic}_cate_where",
            x,
            where,
            category,
            n,
            nulls=_WHERE,
            doc=f"{of_each} among the rows for which the condition holds, for the n categories where it is largest, in descending order of it.",
            since="0.6.4",
            **text,
        )


def _ratios() -> Iterator[Function]:
    x, where, category, n = _arguments("count")
    share = "Share of the rows for which the condition holds in each category"
    for name, order in (
        ("top_n_key_ratio_cate", "for the n largest categories in descending order"),
        ("top_n_value_ratio_cate", "for the n categories where it is largest, in descending order of it"),
    ):
        nulls = "Rows with a NULL x or category are skipped, a NULL condition is false; '' if no row is left."
        yield aggregate(name, x, where, category, n, result=T.STRING, nulls=nulls, doc=f"{share}, {order}.", since="0.8.1")


TABLE: tuple[Function, ...] = (*_statistics(), *_ratios())

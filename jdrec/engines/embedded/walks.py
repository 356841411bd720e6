"""The aggregates over whole frames (see `frames`), one function each. Sources: OpenMLDB 0.9.2, which walks a frame newest first.

Values are added up one after the other in that order, for rounding depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from jdrec.dataset import arrow
from jdrec.engines.embedded import libm, plan, text
from jdrec.engines.embedded.frames import Cells, Frames, text_of
from jdrec.engines.embedded.vector import Vector
from jdrec.features.types import SqlType

T = SqlType
LONGEST_TEXT = 4096  # OpenMLDB writes no more of the categories than fit


class Values:
    """The values of each frame that count: not NULL, and the condition holds.

    Attributes:
        rows: how many frames.
        row: int64, the frame of each value.
        cells: the values.
        counts, starts: int64 [rows].
    """

    def __init__(self, row: np.ndarray, cells: Cells, rows: int):
        self.rows, self.row, self.cells = rows, row, cells
        self.counts = np.bincount(row, minlength=rows).astype(np.int64)
        self.starts = np.cumsum(self.counts) - self.counts

    @classmethod
    def of(cls, walk: plan.Walk, frames: Frames, keep: np.ndarray | None = None) -> Values:
        cells = frames.cells(walk.columns[0])
        kept = np.flatnonzero((cells.valid & frames.holds(walk.condition)) if keep is None else keep)
        return cls(frames.row[kept], cells.take(kept), frames.count)

    def only(self, keep: np.ndarray) -> Values:
        return Values(self.row[keep], self.cells.take(np.flatnonzero(keep)), self.rows)

    @property
    def doubles(self) -> np.ndarray:
        return self.cells.values.astype(np.float64)

    def number(self, values: np.ndarray, least: int = 1, type_: SqlType = T.DOUBLE) -> Vector:
        """A result that is NULL where a frame has fewer values."""
        valid = self.counts >= least
        return Vector(type_, values.astype(arrow.STORAGE[type_], copy=False), None if valid.all() else valid.astype(np.uint8))

    def sum_of(self, values: np.ndarray) -> np.ndarray:
        """float64 [rows], each frame's values added up in order."""
        return np.bincount(self.row, values, self.rows)

    def sums(self) -> np.ndarray:
        """[rows] sums in the values' own type."""
        if self.cells.type is T.DOUBLE:
            return self.sum_of(self.cells.values)
        total = np.zeros(self.rows, np.float32 if self.cells.type is T.FLOAT else np.int64)
        with np.errstate(over="ignore", invalid="ignore"):
            np.add.at(total, self.row, self.cells.values.astype(total.dtype))
        return total.astype(arrow.STORAGE[self.cells.type])

    def means(self) -> np.ndarray:
        with np.errstate(all="ignore"):
            return self.sum_of(self.doubles) / self.counts

    def extremes(self, *, largest: bool) -> np.ndarray:
        """[rows] the smallest or largest value; 0 where there is none."""
        result = np.zeros(self.rows, self.cells.values.dtype)
        there = self.counts > 0
        if there.any():
            result[there] = (np.fmax if largest else np.fmin).reduceat(self.cells.values, self.starts[there])
            if self.cells.type.is_float:  # nothing is less or more than a NaN that comes first
                first = self.cells.values[self.starts[there]]
                result[there] = np.where(np.isnan(first), first, result[there])
        return result


# --- under conditions that look at other rows --------------------------------------------------------------------------------


def count_where(walk: plan.Walk, frames: Frames) -> Vector:
    keep = frames.holds(walk.condition)
    if walk.columns:
        keep = keep & frames.cells(walk.columns[0]).valid
    return Vector(T.BIGINT, np.bincount(frames.row[keep], minlength=frames.count).astype(np.int64))


def sum_where(walk: plan.Walk, frames: Frames) -> Vector:
    values = _truthy(walk, frames)
    return values.number(values.sums(), type_=walk.type)


def avg_where(walk: plan.Walk, frames: Frames) -> Vector:
    values = _truthy(walk, frames)
    return values.number(values.means())


def _truthy(walk: plan.Walk, frames: Frames) -> Values:
    """OpenMLDB takes `x and condition` for the condition: a zero counts as if it were not there."""
    values = Values.of(walk, frames)
    return values.only(values.cells.values != 0)


def min_where(walk: plan.Walk, frames: Frames) -> Vector:
    values = Values.of(walk, frames)
    return values.number(values.extremes(largest=False), type_=walk.type)


def max_where(walk: plan.Walk, frames: Frames) -> Vector:
    values = Values.of(walk, frames)
    return values.number(values.extremes(largest=True), type_=walk.type)


def nth_value_where(walk: plan.Walk, frames: Frames) -> Vector:
    """The n-th oldest, or of a negative n the newest, of the rows for which the condition holds; NULLs count."""
    values = Values.of(walk, frames, frames.holds(walk.condition))
    n = int(walk.n)
    place = values.counts - n if n > 0 else np.full(values.rows, -n - 1)
    there = (place >= 0) & (place < values.counts)
    return values.cells.vector().take(np.where(there, values.starts + place, -1))


# --- statistics ------------------------------------------------------------------------------------------------------------


def median(walk: plan.Walk, frames: Frames) -> Vector:
    """The middle two are added up in their own type, in which they may wrap around."""
    values = Values.of(walk, frames)
    ordered = wide(values.cells.type, values.cells.values[np.lexsort((values.cells.values, values.row))])
    there = values.counts > 0
    low, high = (values.starts + (values.counts - 1) // 2)[there], (values.starts + values.counts // 2)[there]
    result = np.zeros(values.rows)
    result[there] = middle(ordered[low], ordered[high], low == high)
    return values.number(result)


def wide(type_: SqlType, values: np.ndarray) -> np.ndarray:
    """Values in the type in which they are added up."""
    return values.astype(np.int32) if type_ is T.SMALLINT else values


def middle(lower: np.ndarray, upper: np.ndarray, same: np.ndarray) -> np.ndarray:
    """The mean of the middle two, in their own type; where they are the same it is that one."""
    with np.errstate(all="ignore"):
        return np.where(same, lower, (lower + upper) / 2.0)


def _squares(values: Values) -> np.ndarray:
    """Each frame's sum of squared distances from its mean."""
    with np.errstate(all="ignore"):
        distance = values.doubles - values.means()[values.row]
        return values.sum_of(distance * distance)


def _spread(sample: bool, root: bool) -> Callable[[plan.Walk, Frames], Vector]:
    def apply(walk: plan.Walk, frames: Frames) -> Vector:
        values = Values.of(walk, frames)
        with np.errstate(all="ignore"):
            variance = _squares(values) / (values.counts - int(sample))
            return values.number(np.sqrt(variance) if root else variance, 1 + int(sample))

    return apply


def ew_avg(walk: plan.Walk, frames: Frames) -> Vector:
    values = Values.of(walk, frames)
    steps = np.full(int(values.counts.max(initial=0)), 1 - walk.n)
    steps[:1] = 1.0
    weight = np.cumprod(steps)[np.arange(len(values.row)) - values.starts[values.row]]
    with np.errstate(all="ignore"):
        return values.number(values.sum_of(weight * values.doubles) / values.sum_of(weight))


def drawdown(walk: plan.Walk, frames: Frames) -> Vector:
    """The largest share by which a value is above the smallest of those that came after it."""
    values = Values.of(walk, frames)
    values = values.only(~(values.cells.values < 0))  # NaN stays: it is a value, and the smallest one starts anew after it
    cells = values.cells.values
    by_size = np.argsort(-values.counts, kind="stable")
    sizes = -np.sort(-values.counts)
    least, result = np.zeros(values.rows, cells.dtype), np.zeros(values.rows)
    for place in range(int(sizes[0]) if len(sizes) else 0):  # the place-th newest value of every frame that has one
        rows = by_size[: np.searchsorted(-sizes, -place, "left")]
        value = cells[values.starts[rows] + place]
        least[rows] = value if place == 0 else np.where(least[rows] < value, least[rows], value)
        fall = (value - least[rows]).astype(np.float64)
        result[rows] = np.fmax(result[rows], np.divide(fall, value, out=np.zeros(len(rows)), where=value != 0))
    return values.number(result)


def entropy(walk: plan.Walk, frames: Frames) -> Vector:
    """In bits; the values' shares are added up in the values' order."""
    values = Values.of(walk, frames)
    groups = Groups(values.row, values.cells.order)
    share = np.bincount(groups.of_value, minlength=groups.count) / values.counts[groups.row]
    return values.number(bits_of(share, groups.row, values.rows))


def bits_of(share: np.ndarray, row: np.ndarray, rows: int) -> np.ndarray:
    """float64 [rows]: the entropy of each frame's shares, added up in their order."""
    known, number = np.unique(share, return_inverse=True)
    return np.bincount(row, -(known * libm.call("log2", known))[number], rows) + 0.0


def top(walk: plan.Walk, frames: Frames) -> Vector:
    """The n largest values, the largest first, equal ones each."""
    values = Values.of(walk, frames)
    order = np.lexsort((values.cells.order, values.row))[::-1]  # rows descending, too
    row = values.row[order]
    place = np.arange(len(row)) - (len(row) - values.starts - values.counts)[row]
    kept = order[place < walk.n]
    pieces = spell(values.cells.take(kept))
    sizes = np.minimum(values.counts, int(walk.n))
    ends = np.cumsum(sizes[::-1])[::-1].tolist()
    return text_of([",".join(pieces[end - size : end]) for end, size in zip(ends, sizes.tolist(), strict=True)])


def spell(cells: Cells) -> list[str]:
    """The text of each value; each distinct one is written once."""
    values = np.ascontiguousarray(cells.values)
    if values.dtype.kind == "f":  # by their bits: 0.0 and -0.0 are written differently
        values = values.view(f"i{values.itemsize}")
    known, number = np.unique(values, return_inverse=True)
    known = known.view(cells.values.dtype)
    if cells.dictionary is not None:
        names = cells.dictionary.decode(known).to_pylist()
    else:
        names = [text.of(value, cells.type) for value in known.tolist()]
    return [names[place] for place in number.tolist()]


# --- by category -------------------------------------------------------------------------------------------------------------


class Groups:
    """Values of equal frame and category.

    Attributes:
        order: int64 [values]: values sorted by frame and category, within that as they came.
        of_value: int64 [values], the group of each sorted value.
        row: int64 [groups], each group's frame.
        first: int64 [groups], the sorted position of its first value.
    """

    def __init__(self, row: np.ndarray, category: np.ndarray):
        self.order = np.lexsort((category, row))
        row, category = row[self.order], category[self.order]
        begins = np.ones(len(row), bool)
        begins[1:] = (row[1:] != row[:-1]) | (category[1:] != category[:-1])
        self.first = np.flatnonzero(begins)
        self.of_value = np.cumsum(begins) - 1
        self.row = row[self.first]
        self.count = len(self.first)


def _by_category(statistic: str, choice: str) -> Callable[[plan.Walk, Frames], Vector]:
    """Aggregates that write `category:value` for each category.

    Args:
        statistic: of each category's values.
        choice: "all" in ascending order of category, the n largest "key"s, or those with the n largest "value"s.
    """

    def apply(walk: plan.Walk, frames: Frames) -> Vector:
        x, category = frames.cells(walk.columns[0]), frames.cells(walk.columns[1])
        holds = frames.holds(walk.condition)
        kept = np.flatnonzero(x.valid & category.valid & (holds | (statistic == "ratio")))
        category = category.take(kept)
        groups = Groups(frames.row[kept], category.order)
        sorted_ = kept[groups.order]
        values = _statistics(statistic, Values(groups.of_value, x.take(sorted_), groups.count), holds[sorted_], groups)
        return written(category.take(groups.order[groups.first]), values, groups.row, frames.count, choice, int(walk.n))

    return apply


def written(keys: Cells, values: Cells, row: np.ndarray, rows: int, choice: str, n: int) -> Vector:
    """The texts of frames whose categories stand one after the other, in ascending order.

    Args:
        row: int64 [categories], the frame of each.
        rows: how many frames.
        choice, n: as of `_by_category`.
    """
    counts = np.bincount(row, minlength=rows)
    if choice == "all":
        return spelt(keys, values, counts)
    order = np.arange(len(row))
    if choice == "value":
        order = np.lexsort((order, values.values, row))
    from_end = np.cumsum(counts)[row] - 1 - np.arange(len(row))  # 0: the last of its frame
    shown = order[from_end < n]
    return spelt(keys.take(shown), values.take(shown), np.minimum(counts, n), -1)


def spelt(keys: Cells, values: Cells, counts: np.ndarray, step: int = 1) -> Vector:
    """`category:value,...` of each frame.

    Args:
        counts: how many categories each frame has, one frame after the other.
        step: -1: they are written from the last to the first.
    """
    pieces = [f"{key}:{value}" for key, value in zip(spell(keys), spell(values), strict=True)]
    spans = zip(np.cumsum(counts).tolist(), counts.tolist(), strict=True)
    return text_of([_joined(pieces[end - count : end][::step]) for end, count in spans])


def _statistics(statistic: str, values: Values, holds: np.ndarray, groups: Groups) -> Cells:
    """One value a group."""
    result: np.ndarray
    if statistic == "count":
        result, type_ = values.counts, T.BIGINT
    elif statistic == "ratio":
        result, type_ = np.bincount(groups.of_value[holds], minlength=groups.count) / values.counts, T.DOUBLE
    elif statistic == "avg":
        result, type_ = _signed(values, values.means()), T.DOUBLE
    elif statistic == "sum":
        result, type_ = _signed(values, values.sums()), values.cells.type
    else:
        result, type_ = values.extremes(largest=statistic == "max"), values.cells.type
    return Cells(type_, result, np.ones(len(result), bool))


def _signed(values: Values, result: np.ndarray) -> np.ndarray:
    """The sums or means with the sign of a zero: a category's begins with its first value, not with 0, so that -0 alone stays -0."""
    if result.dtype.kind == "f":
        others = ~((values.cells.values == 0) & np.signbit(values.cells.values))
        result[(result == 0) & (values.counts > 0) & (np.bincount(values.row, others, values.rows) == 0)] = -0.0
    return result


def _joined(pieces: Sequence[str]) -> str:
    """The pieces with commas between them, as many from the first as fit."""
    whole = ",".join(pieces)
    if 4 * (len(whole) + 1) <= LONGEST_TEXT:
        return whole
    fitting, length = [], 0
    for piece in pieces:
        length += len(piece.encode()) + 1
        if length > LONGEST_TEXT:
            break
        fitting.append(piece)
    return ",".join(fitting)


def _categories() -> dict[str, Callable[[plan.Walk, Frames], Vector]]:
    result = {}
    for statistic in ("count", "sum", "avg", "min", "max"):
        result[f"{statistic}_cate"] = result[f"{statistic}_cate_where"] = _by_category(statistic, "all")
        for choice in ("key", "value"):
            result[f"top_n_{choice}_{statistic}_cate_where"] = _by_category(statistic, choice)
    for choice in ("key", "value"):
        result[f"top_n_{choice}_ratio_cate"] = _by_category("ratio", choice)
    return result


WALKS: dict[str, Callable[[plan.Walk, Frames], Vector]] = {
    "count_where": count_where,
    "sum_where": sum_where,
    "avg_where": avg_where,
    "min_where": min_where,
    "max_where": max_where,
    "nth_value_where": nth_value_where,
    "median": median,
    "stddev": _spread(sample=True, root=True),
    "stddev_pop": _spread(sample=False, root=True),
    "var_samp": _spread(sample=True, root=False),
    "var_pop": _spread(sample=False, root=False),
    "ew_avg": ew_avg,
    "drawdown": drawdown,
    "entropy": entropy,
    "top": top,
    **_categories(),
}

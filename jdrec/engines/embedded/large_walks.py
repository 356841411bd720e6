"""The walks over frames of very many rows (see `large`), with the very values that `walks` gives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jdrec.dataset import arrow
from jdrec.engines.embedded import libm, plan
from jdrec.engines.embedded.categories import Categories, Chosen
from jdrec.engines.embedded.category_walks import by_category_walked
from jdrec.engines.embedded.exact import Units, units_of
from jdrec.engines.embedded.frames import MOST_CELLS, Cells, Frames, text_of
from jdrec.engines.embedded.joins import portions
from jdrec.engines.embedded.large import Counted, Large, Windows, holds, is_valid, looks_around, own_holds, walk_lanes
from jdrec.engines.embedded.large_aggregates import keys
from jdrec.engines.embedded.layout import Choice, Statistic
from jdrec.engines.embedded.ranked import Ranked
from jdrec.engines.embedded.vector import Vector, concatenate
from jdrec.engines.embedded.walks import LONGEST_TEXT, WALKS, bits_of, middle, spell, spelt, wide
from jdrec.features.types import SqlType

T = SqlType
Road = Callable[[plan.Walk, Large, Windows], "Vector | None"]


def walk_large(walk: plan.Walk, large: Large, windows: Windows) -> Vector | None:
    """A walk's values for large windows; None where there is no shorter way for it, or for these values."""
    road = ROADS.get(walk.name)
    return None if road is None or looks_around(walk.condition) else road(walk, large, windows)


class _Values:
    """The values of one column that count, in large windows; the counterpart of `walks.Values`."""

    def __init__(self, walk: plan.Walk, large: Large, windows: Windows):
        self.column, self.condition = walk.columns[0], walk.condition
        self.counted: Counted = large.counted((self.column,), walk.condition)
        self.low, self.high = self.counted.span(windows)
        self.has_own = self.counted.own(windows)
        self.own = windows.own(windows.at_hand.columns[self.column])[0]
        self.counts = self.high - self.low + self.has_own
        self.type = large.store.columns[self.column].type
        self.values: np.ndarray = large.once(("of", self.column, walk.condition), lambda: self.counted.values(self.column))
        self.dictionary = large.store.dictionaries[self.column]

    def at(self, rows: np.ndarray) -> np.ndarray:
        """The values at places among those that count, [windows, ...]; the request's own one where they are -1."""
        if not len(self.values):
            return np.broadcast_to(self.own[:, None], rows.shape)
        return np.where(rows < 0, self.own[:, None], self.values[rows])

    def number(self, values: np.ndarray, least: int = 1) -> Vector:
        """A result that is NULL where a window has fewer values."""
        valid = self.counts >= least
        return Vector(T.DOUBLE, values, None if valid.all() else valid.astype(np.uint8))


def nth_value_where(walk: plan.Walk, large: Large, windows: Windows) -> Vector:
    counted, column = large.counted((), walk.condition), large.store.columns[walk.columns[0]]
    low, high = counted.span(windows)
    has_own, n = counted.own(windows), int(walk.n)
    place = low + n - 1 if n > 0 else high + has_own + n
    there = (place >= low) & (place < high + has_own)
    is_own = there & (place == high)
    own, own_valid = windows.own(windows.at_hand.columns[walk.columns[0]])
    cells = large.once(("cells", walk.columns[0], walk.condition), lambda: _cells(column.type, counted, walk.columns[0]))
    stored = there & ~is_own
    where = np.where(stored, place, 0) if len(counted.rows) else np.zeros(0, np.int64)
    values, valid = own.copy(), is_own & own_valid
    if len(counted.rows):
        values, valid = np.where(is_own, own, cells.values[where]), np.where(is_own, own_valid, cells.valid[where]) & there
    return Cells(column.type, values, valid, large.store.dictionaries[walk.columns[0]]).vector()


def _cells(type_: SqlType, counted: Counted, column: int) -> Cells:
    return Cells(type_, counted.values(column), is_valid(counted.store.columns[column], counted.rows))


# --- by order ------------------------------------------------------------------------------------------------------------------


def _ranked(large: Large, values: _Values) -> Ranked:
    return large.once(("ranked", values.column, values.condition), lambda: Ranked(values.counted, values.values))


def median(walk: plan.Walk, large: Large, windows: Windows) -> Vector:
    values = _Values(walk, large, windows)
    ranked = _ranked(large, values)
    first = (values.counts - 1) // 2
    step, wanted = values.counts // 2 - first, np.where(values.counts > 0, 2, 0)
    found = ranked.select(windows, values.own, values.has_own, first, step, wanted)
    both = wide(values.type, values.at(np.where((wanted > 0)[:, None], found, -1)))
    return values.number(np.where(values.counts > 0, middle(both[:, 0], both[:, -1], step == 0), 0.0).astype(np.float64))


def top(walk: plan.Walk, large: Large, windows: Windows) -> Vector:
    parts = []
    for some in windows.parts(int(walk.n)):
        values = _Values(walk, large, some)
        ranked = _ranked(large, values)
        wanted = np.minimum(values.counts, int(walk.n))
        found = ranked.select(some, values.own, values.has_own, values.counts - 1, np.full(len(some), -1), wanted)
        shown = np.arange(found.shape[1]) < wanted[:, None]
        kept = values.at(np.where(shown, found, -1))[shown]
        pieces = spell(Cells(values.type, kept, np.ones(len(kept), bool), values.dictionary))
        ends = np.cumsum(wanted).tolist()
        parts.append(text_of([",".join(pieces[end - size : end]) for end, size in zip(ends, wanted.tolist(), strict=True)]))
    return concatenate(parts)


# --- by rounding sums ------------------------------------------------------------------------------------------------------------


def _spread(sample: bool, root: bool) -> Road:
    def apply(walk: plan.Walk, large: Large, windows: Windows) -> Vector:
        values = _Values(walk, large, windows)
        doubles = large.once(("doubles", values.column, walk.condition), lambda: values.values.astype(np.float64))
        own = values.own.astype(np.float64)
        with np.errstate(all="ignore"):
            means = walk_lanes("sum_doubles", doubles, values.low, values.high, 0.0 + np.where(values.has_own, own, 0.0)) / values.counts
            first = np.where(values.has_own, (own - means) * (own - means), 0.0)
            squares = walk_lanes("sum_squares", doubles, values.low, values.high, first, means)
            variance = squares / (values.counts - int(sample))
            return values.number(np.sqrt(variance) if root else variance, 1 + int(sample))

    return apply


def ew_avg(walk: plan.Walk, large: Large, windows: Windows) -> Vector | None:
    """Of the newest values alone, where what older ones would add is less than a sum's last bit."""
    values = _Values(walk, large, windows)
    largest = float(np.abs(np.append(values.values.astype(np.float64), values.own)).max(initial=0.0))
    if 1.0 - walk.n == 1.0 or not np.isfinite(largest):  # all weigh the same
        return None
    most = int(np.ceil(np.log(2.0**-100) / np.log(1.0 - walk.n))) if walk.n < 1 else 1
    weight = (1.0 - walk.n) ** most
    counted = values.counted.rows
    first = np.maximum(values.low, values.high - most)
    low = np.where(first > values.low, counted[first - 1] + 1, windows.low) if len(counted) else windows.low
    result = _walked(walk, large, windows, low)
    enough = (weight * largest < np.abs(result.data) * 2.0**-60) | (first == values.low)
    if enough.all():
        return result
    rest = np.flatnonzero(~enough)
    some = Windows(windows.requests[rest], windows.low[rest], windows.high[rest], windows.sees_current, windows.at_hand)
    result.data[rest] = _walked(walk, large, some, some.low).data
    return result


def _walked(walk: plan.Walk, large: Large, windows: Windows, low: np.ndarray) -> Vector:
    """What walking through windows from other rows on gives."""
    parts, nothing = [], [None] * len(large.store.columns)
    for start, stop in portions(windows.high - low + windows.sees_current, MOST_CELLS):
        some = slice(start, stop)
        frames = Frames(large.store, windows.at_hand, windows.requests[some], low[some], windows.high[some], windows.sees_current, nothing)
        parts.append(WALKS[walk.name](walk, frames))
    return concatenate(parts)


# --- by category -------------------------------------------------------------------------------------------------------------------


def entropy(walk: plan.Walk, large: Large, windows: Windows) -> Vector | None:
    column, own = large.store.columns[walk.columns[0]], windows.at_hand.columns[walk.columns[0]]
    if column.type.is_float and (np.isnan(column.values).any() or np.isnan(own.values).any()):
        return None  # each is a category of its own
    counted = large.counted(walk.columns)
    known: Categories = large.once(("entropy", walk.columns), lambda: Categories(counted, keys(column, counted.rows)))
    parts = []
    for some in windows.parts(known.most):
        values = _Values(walk, large, some)
        found = known.choose(some, keys(own, some.rows_of(own)), values.has_own, Statistic.COUNT, Choice.ALL, known.most)
        parts.append(values.number(_bits(found, values.counts)))
    return concatenate(parts)


def _bits(found: Chosen, sizes: np.ndarray) -> np.ndarray:
    """float64 [windows]: the entropy of the categories' counts."""
    most = int(found.counts.max(initial=0)) + 1
    if most * len(sizes) > len(found.counts):
        return bits_of(found.counts / sizes[found.window], found.window, len(sizes))
    # Many categories of few counts: each count's share is looked at once a window.
    share = np.maximum(np.arange(most), 1) / np.maximum(sizes, 1)[:, None]
    terms = -(share * libm.call("log2", share.ravel()).reshape(share.shape))
    return np.bincount(found.window, terms[found.window, found.counts], len(sizes)) + 0.0


def _by_category(statistic: str, choice: Choice) -> Road:
    def apply(walk: plan.Walk, large: Large, windows: Windows) -> Vector | None:
        category = walk.columns[1]
        stored, own = large.store.columns[category], windows.at_hand.columns[category]
        adding = _adding(statistic, walk, large, windows)
        if adding is None:
            return by_category_walked(statistic, choice, walk, large, windows)
        counted, adds, own_adds, result = adding
        order = {"count": Statistic.COUNT, "sum": Statistic.SUM}.get(statistic, Statistic.MEAN)
        bits = 8 * arrow.STORAGE[result.type]().itemsize if order is Statistic.SUM and not result.type.is_float else 64
        if choice is Choice.VALUE and bits == 64 and _may_wrap(adds, own_adds):
            return None  # a sum may be ABSENT, by which the kernels know categories that are not there
        what = ("categories", statistic, walk.columns, walk.condition)
        known: Categories = large.once(what, lambda: Categories(counted, stored.values[counted.rows].astype(np.int64), adds=adds))
        most = min(LONGEST_TEXT // 4 + 1 if choice is Choice.ALL else int(walk.n), known.most)
        parts, begin = [], 0
        for some in windows.parts(most):
            own_keys, mine = some.own(own)[0].astype(np.int64), own_adds[begin : begin + len(some)]
            found = known.choose(some, own_keys, counted.own(some), order, choice, most, mine, bits)
            names = Cells(stored.type, found.category, np.ones(len(found.category), bool), large.store.dictionaries[category])
            parts.append(spelt(names, result.cells(found.counts, found.sums), found.sizes))
            begin += len(some)
        return concatenate(parts)

    return apply


def _may_wrap(*adds: np.ndarray) -> bool:
    """Whether a sum of some of these integers may be too large for 64 bits."""
    return sum(float(np.abs(each.astype(np.float64)).sum()) for each in adds) >= 2.0**62


def _extreme_by_category(statistic: str, choice: Choice) -> Road:
    return lambda walk, large, windows: by_category_walked(statistic, choice, walk, large, windows)


class _Result:
    """What a category's value is made of."""

    def __init__(self, statistic: str, type_: SqlType, unit: float = 1.0):
        self.type, self._statistic, self._unit = type_, statistic, unit

    def cells(self, counts: np.ndarray, sums: np.ndarray) -> Cells:
        result = counts
        if self._statistic == "sum":
            result = (sums * self._unit if self.type.is_float else sums).astype(arrow.STORAGE[self.type])
        elif self._statistic == "avg":
            result = sums * self._unit / counts
        elif self._statistic == "ratio":
            result = sums / counts
        return Cells(self.type, result, np.ones(len(result), bool))


def _adding(statistic: str, walk: plan.Walk, large: Large, windows: Windows) -> tuple[Counted, np.ndarray, np.ndarray, _Result] | None:
    """The rows that count, what each of them and of the requests adds to its category, and what that comes to; None where sums are rounded."""
    column = walk.columns[0]
    stored, own = large.store.columns[column], windows.own(windows.at_hand.columns[column])[0]
    if statistic == "ratio":
        counted = large.counted(walk.columns)
        assert walk.condition is not None
        condition = walk.condition
        hits = large.once(("hits", walk.columns, condition), lambda: holds(condition, large.store, large.store.columns, counted.rows))
        return counted, hits, own_holds(condition, large.store, windows).astype(np.int64), _Result(statistic, T.DOUBLE)
    counted = large.counted(walk.columns, walk.condition)
    if statistic == "count":
        return counted, np.zeros(len(counted.rows), np.int64), np.zeros(len(windows), np.int64), _Result(statistic, T.BIGINT)
    type_ = T.DOUBLE if statistic == "avg" else stored.type
    if statistic == "sum" and not type_.is_float:  # wraps around
        return counted, counted.values(column).astype(np.int64), own.astype(np.int64), _Result(statistic, type_)
    what = ("units", column, walk.columns, walk.condition, type_)
    units: Units | None = large.once(what, lambda: units_of(counted.values(column), counted.bases, np.dtype(arrow.STORAGE[type_])))
    own_units = units.of(np.where(counted.own(windows), own, 0)) if units is not None else None
    return (
        (counted, units.values, own_units, _Result(statistic, type_, units.unit)) if units is not None and own_units is not None else None
    )


def _categories() -> dict[str, Road]:
    result = {}
    for statistic in ("count", "sum", "avg", "min", "max"):
        make = _extreme_by_category if statistic in ("min", "max") else _by_category
        result[f"{statistic}_cate"] = result[f"{statistic}_cate_where"] = make(statistic, Choice.ALL)
        result[f"top_n_key_{statistic}_cate_where"] = make(statistic, Choice.KEY)
        result[f"top_n_value_{statistic}_cate_where"] = make(statistic, Choice.VALUE)
    result["top_n_key_ratio_cate"], result["top_n_value_ratio_cate"] = (
        _by_category("ratio", Choice.KEY),
        _by_category("ratio", Choice.VALUE),
    )
    return result


ROADS: dict[str, Road] = {
    "nth_value_where": nth_value_where,
    "median": median,
    "top": top,
    "stddev": _spread(sample=True, root=True),
    "stddev_pop": _spread(sample=False, root=True),
    "var_samp": _spread(sample=True, root=False),
    "var_pop": _spread(sample=False, root=False),
    "ew_avg": ew_avg,
    "entropy": entropy,
    **_categories(),
}

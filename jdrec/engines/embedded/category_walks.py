"""Statistics of categories in windows of very many rows that cannot be kept while windows slide: sums that are rounded, the smallest and the largest.

The rows of each category are laid one after the other, so that a window's rows of a category stand together. They are walked, but many windows or
many rows at a time.
"""

from __future__ import annotations

import numpy as np

from jdrec.engines.embedded import plan
from jdrec.engines.embedded.frames import Cells
from jdrec.engines.embedded.large import Large, Windows, walk_lanes
from jdrec.engines.embedded.layout import Choice
from jdrec.engines.embedded.vector import Vector, concatenate
from jdrec.engines.embedded.walks import written
from jdrec.features.types import SqlType

T = SqlType
_NAMES = {Choice.ALL: "all", Choice.KEY: "key", Choice.VALUE: "value"}
_FEW_ROWS = 32  # of a category in a window, below which the windows themselves are sooner walked


def by_category_walked(statistic: str, choice: Choice, walk: plan.Walk, large: Large, windows: Windows) -> Vector | None:
    """sum, avg, min or max of each category; None where categories are too many, or values such that the order matters otherwise."""
    column, category = walk.columns
    stored = large.store.columns[column]
    counted = large.counted(walk.columns, walk.condition)
    values, own = counted.values(column), windows.own(windows.at_hand.columns[column])[0]
    if _is_odd(values) or _is_odd(own):
        return None
    keys, own_keys = (found.astype(np.int64) for found in (counted.values(category), windows.own(windows.at_hand.columns[category])[0]))
    has_own, group = counted.own(windows), counted.groups_of(windows)
    known = np.unique(np.concatenate([keys, own_keys[has_own]]))
    pair = counted.group * np.int64(len(known)) + np.searchsorted(known, keys)
    own_pair = np.where(has_own, group * np.int64(len(known)) + np.searchsorted(known, own_keys), -1)
    pairs = np.unique(np.concatenate([pair, own_pair[has_own]]))
    low, high = counted.span(windows)
    most = int(np.bincount(pairs // max(len(known), 1)).max(initial=1))
    if most * _FEW_ROWS > (high - low).mean():
        return None
    order = np.argsort(pair, kind="stable")
    stride = np.int64(len(pair) + 1)
    places = np.searchsorted(pairs, pair[order]) * stride + order
    values = values[order].astype(np.float64) if statistic == "avg" else values[order]
    parts = []
    for number in np.unique(group):
        start, stop = np.searchsorted(pairs, (number * len(known), (number + 1) * len(known)))
        of_group = pairs[start:stop]
        whole = np.flatnonzero(group == number)
        step = max((1 << 21) // max(len(of_group), 1), 1)
        for some in (whole[begin : begin + step] for begin in range(0, len(whole), step)):
            base = np.arange(start, stop)[:, None] * stride
            first, last = np.searchsorted(places, base + low[some]), np.searchsorted(places, base + high[some])
            mine = own_pair[some] == of_group[:, None]
            found = _each(statistic, values, first.ravel(), last.ravel(), mine.ravel(), np.tile(own[some], len(of_group)))
            counts = (last - first + mine).T
            window, place = np.nonzero(counts)
            result = found.reshape(mine.shape).T[window, place]
            result = result / counts[window, place] if statistic == "avg" else result
            type_ = T.DOUBLE if statistic == "avg" else stored.type
            valid = np.ones(len(window), bool)
            names = Cells(
                large.store.columns[category].type, known[of_group[place] % len(known)], valid, large.store.dictionaries[category]
            )
            parts.append(written(names, Cells(type_, result, valid), window, len(some), _NAMES[choice], int(walk.n)))
    return concatenate(parts)


def _is_odd(values: np.ndarray) -> bool:
    """Whether there is a NaN, or a zero with a sign: these make more of the order of values than their sums do."""
    return values.dtype.kind == "f" and bool((np.isnan(values) | ((values == 0) & np.signbit(values))).any())


def _each(statistic: str, values: np.ndarray, low: np.ndarray, high: np.ndarray, mine: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The statistic of rows [low, high) and of the request's own value, where that is `mine`."""
    if statistic in ("sum", "avg"):
        begin = np.where(mine, own, 0).astype(values.dtype)
        return walk_lanes("sum_singles" if values.dtype == np.float32 else "sum_doubles", values, low, high, begin)
    better = np.fmax if statistic == "max" else np.fmin
    bounds = np.stack([low, high], axis=1).ravel()
    found = better.reduceat(np.append(values, values[:1] if len(values) else np.zeros(1, values.dtype)), bounds)[::2]
    return np.where(low == high, own, np.where(mine, better(found, own), found)).astype(values.dtype)

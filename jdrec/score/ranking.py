"""The best rows of each group: exact, whatever the number of rows, in bounded memory.

A pair of group and item counts once, with its best score. Rows are first reduced to the best of each chunk, which loses nothing: what is not
among the best k of its chunk is not among the best k of all. Where what is left may be more than fits, the groups are ranked range by range of
their values, each in a pass over the chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

_SAMPLE = 2000  # values of a chunk that the bounds of ranges are chosen from


def best(table: pa.Table, group: str, item: str, score: str, row: str, k: int) -> tuple[pa.Table, np.ndarray]:
    """The best k items of each group.

    Best first: the higher score; of equal ones the smaller item, then the earlier row. Rows without a group or an item are left out.

    Returns:
        The rows by group in ascending order and rank; their ranks from 1, int32.
    """
    groups, items = _codes(table[group]), _codes(table[item])
    scores, rows = table[score].to_numpy(), table[row].to_numpy()
    known = np.flatnonzero((groups >= 0) & (items >= 0))
    order = known[np.lexsort((rows[known], -scores[known], items[known], groups[known]))]
    order = order[_changes(groups[order], items[order])]  # the best row of each pair
    order = order[np.lexsort((items[order], -scores[order], groups[order]))]
    starts = np.flatnonzero(_changes(groups[order]))
    ranks = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    kept = ranks < k
    return table.take(_arrow(order[kept])), (ranks[kept] + 1).astype(np.int32)


def ranked(
    chunks: Callable[[], Iterable[pa.Table]], rows: int, group: str, item: str, score: str, row: str, k: int, *, memory_rows: int
) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """As `best`, over chunks; in pieces, each of whole groups, in the groups' order.

    Args:
        chunks: gives all chunks anew at each call.
        rows: of all chunks together.
        memory_rows: about so many rows are held; a range of groups whose own best are more is held nevertheless.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    passes = -(-rows // memory_rows)
    bounds = _bounds(chunks(), group, passes) if passes > 1 else []
    for low, high in zip([None, *bounds], [*bounds, None], strict=True):
        held: list[pa.Table] = []
        size = 0
        limit = memory_rows
        for chunk in chunks():
            inside = None if low is None else pc.greater_equal(chunk[group], low)
            if high is not None:
                below = pc.less(chunk[group], high)
                inside = below if inside is None else pc.and_(inside, below)
            part, _ = best(chunk if inside is None else chunk.filter(inside), group, item, score, row, k)
            held.append(part)
            size += part.num_rows
            if size > limit:
                held = [best(pa.concat_tables(held), group, item, score, row, k)[0]]
                size = held[0].num_rows
                limit = max(memory_rows, 2 * size)
        if held:
            yield best(pa.concat_tables(held), group, item, score, row, k)


def _bounds(chunks: Iterable[pa.Table], group: str, ranges: int) -> list[Any]:
    """Values that cut the groups into about equally many rows, ascending."""
    import pyarrow as pa
    import pyarrow.compute as pc

    samples = []
    for chunk in chunks:
        column = chunk[group].drop_null()
        if len(column):
            samples.append(column.take(_arrow(np.linspace(0, len(column) - 1, min(_SAMPLE, len(column))).astype(np.int64))))
    if not samples:
        return []
    whole = pa.chunked_array([piece for sample in samples for piece in sample.chunks]).combine_chunks()
    whole = whole.take(pc.sort_indices(whole))
    chosen = [whole[len(whole) * cut // ranges] for cut in range(1, ranges)]
    return [value for before, value in zip([whole[0], *chosen], chosen, strict=False) if not value.equals(before)]


def _codes(column: Any) -> np.ndarray:
    """int64 [rows]: codes that order as the values do; -1 for NULL."""
    import pyarrow as pa
    import pyarrow.compute as pc

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = array.dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(order) + 1, np.int64)
    rank[order] = np.arange(len(order))
    rank[-1] = -1
    return rank[encoded.indices.fill_null(-1).to_numpy()]


def _changes(*columns: np.ndarray) -> np.ndarray:
    """bool [rows]: where a value differs from the one before."""
    if not len(columns[0]):
        return np.zeros(0, bool)
    return np.concatenate([[True], np.logical_or.reduce([column[1:] != column[:-1] for column in columns])])


def _arrow(rows: np.ndarray) -> Any:
    import pyarrow as pa

    return pa.array(rows, pa.int64())

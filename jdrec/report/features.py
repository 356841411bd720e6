"""What the features look like in each split, and how far the splits are from each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jdrec.report.tables import plain

if TYPE_CHECKING:
    import pyarrow as pa

BINS = 10  # of numbers: between the training split's deciles
VALUES = 15  # of a feature with few or frequent values: those of their own; the rest share a bin
_SMALLEST = 1e-4  # share of a bin that a split has no row in
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Binned:
    """A feature's rows in bins.

    Attributes:
        bins: int64 [rows], of each row.
        names: of the bins.
    """

    bins: np.ndarray
    names: list[str]


def statistics(column: pa.ChunkedArray, split: np.ndarray, zone: str = "UTC") -> dict[str, Any]:
    """Statistics of one feature.

    Args:
        column: its values [rows].
        split: uint8 [rows], places in SPLITS; others are left out.
        zone: of the moments.

    Returns:
        distinct (NULL not counted, over all rows), nulls (share by split), low, high, mean and median (of numbers and moments, over the
        training split), unseen (share of test rows whose value the training split does not have), psi (by split, against train), bins
        (name, and share by split).
    """
    import pyarrow.compute as pc

    encoded = column.combine_chunks().dictionary_encode("encode")
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    values = encoded.dictionary
    is_null = pc.is_null(values).to_numpy(zero_copy_only=False)
    in_split = [split == number for number in range(len(SPLITS))]
    counts = np.stack([np.bincount(codes[inside], minlength=len(values)) for inside in in_split])  # [splits, values]
    sizes = counts.sum(axis=1)
    nulls = counts[:, is_null].sum(axis=1)
    known = int(sizes[0] - nulls[0])
    result: dict[str, Any] = {"distinct": int((~is_null).sum()), "nulls": _by_split(_shares(nulls, sizes))}
    numbers = _as_numbers(values)
    result |= _range(values, numbers, counts[0], known, zone)
    result["unseen"] = float(counts[2][(counts[0] == 0) & ~is_null].sum() / sizes[2]) if sizes[2] else None
    binned = _bin(values, numbers, is_null, counts[0], zone)
    shares = np.stack([np.bincount(binned.bins, weights=row, minlength=len(binned.names)) for row in counts])
    shares = shares / np.maximum(sizes, 1)[:, None]
    result["psi"] = {name: psi(shares[0], shares[place]) for place, name in enumerate(SPLITS) if place and sizes[place] and sizes[0]}
    result["bins"] = [
        {"name": name, **{part: round(float(shares[place, number]), 6) for place, part in enumerate(SPLITS)}}
        for number, name in enumerate(binned.names)
    ]
    return result


def psi(expected: np.ndarray, found: np.ndarray) -> float:
    """Population stability index of two distributions over the same bins: the sum of (q - p) ln(q / p).

    Below 0.1 they are alike, above 0.25 one has shifted (Siddiqi, "Credit Risk Scorecards", 2006). An empty bin counts as 1e-4.
    """
    p, q = np.maximum(expected, _SMALLEST), np.maximum(found, _SMALLEST)
    return float(((q - p) * np.log(q / p)).sum())


def _range(values: pa.Array, numbers: np.ndarray | None, counts: np.ndarray, known: int, zone: str) -> dict[str, Any]:
    """Of the training split."""
    import pyarrow as pa

    if numbers is None or not known:
        return {"low": None, "high": None, "mean": None, "median": None}
    there = np.flatnonzero((counts > 0) & np.isfinite(numbers))
    if not len(there):
        return {"low": None, "high": None, "mean": None, "median": None}
    order = there[np.argsort(numbers[there], kind="stable")]
    middle = order[np.searchsorted(np.cumsum(counts[order]), counts[order].sum() / 2)]
    low, high, median = (plain(values[int(place)].as_py(), zone) for place in (order[0], order[-1], middle))
    is_moment = pa.types.is_temporal(values.type)
    mean = None if is_moment else float(numbers[order] @ counts[order] / counts[order].sum())
    return {"low": low, "high": high, "mean": mean, "median": median}


def _bin(values: pa.Array, numbers: np.ndarray | None, is_null: np.ndarray, counts: np.ndarray, zone: str) -> Binned:
    """The bin of each distinct value: few values have one each, many numbers share deciles, other values one beside the frequent ones."""
    few = int((~is_null).sum()) <= VALUES
    bins = np.full(len(values), -1)
    names: list[str] = []
    if numbers is not None and not few:
        finite = np.flatnonzero(~is_null & np.isfinite(numbers) & (counts > 0))
        order = finite[np.argsort(numbers[finite], kind="stable")]
        cumulated = np.cumsum(counts[order]) if len(order) else np.zeros(1)
        wanted = np.searchsorted(cumulated, cumulated[-1] * np.arange(1, BINS) / BINS)
        edges = np.unique(numbers[order[np.minimum(wanted, len(order) - 1)]]) if len(order) else np.empty(0)
        texts = [_text(values[int(order[np.searchsorted(numbers[order], edge)])].as_py(), zone) for edge in edges]
        bins[~is_null] = np.searchsorted(edges, numbers[~is_null], side="left")
        names = [_interval(texts, place) for place in range(len(edges) + 1)]
    else:
        own = np.argsort(-counts, kind="stable")
        own = own[~is_null[own]][:VALUES]
        if few and numbers is not None:
            own = own[np.argsort(numbers[own], kind="stable")]
        bins[own] = np.arange(len(own))
        names = [_text(values[int(place)].as_py(), zone) for place in own]
        if (rest := (bins == -1) & ~is_null).any():
            bins[rest] = len(names)
            names.append("all others")
    if is_null.any():
        bins[is_null] = len(names)
        names.append("NULL")
    return Binned(bins, names)


def _text(value: Any, zone: str) -> str:
    """A value as a name; floats to six digits."""
    if value == "":
        return "(empty)"
    return f"{value:.6g}" if isinstance(value, float) else str(plain(value, zone))


def _interval(edges: list[str], place: int) -> str:
    if not edges:
        return "all"
    if place == 0:
        return f"up to {edges[0]}"
    return f"above {edges[-1]}" if place == len(edges) else f"{edges[place - 1]} to {edges[place]}"


def _as_numbers(values: pa.Array) -> np.ndarray | None:
    """float64 [values], NaN where NULL; None for what has no order worth a mean: texts and booleans."""
    import pyarrow as pa

    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    elif pa.types.is_date(values.type):
        values = values.cast(pa.int32()).cast(pa.int64())
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        return None
    return values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _shares(part: np.ndarray, whole: np.ndarray) -> list[float | None]:
    return [float(a / b) if b else None for a, b in zip(part, whole, strict=True)]


def _by_split(values: list[float | None]) -> dict[str, float | None]:
    return dict(zip(SPLITS, values, strict=True))

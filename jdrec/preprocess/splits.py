"""Which rows become samples, and which split each goes to.

- time: train takes the oldest rows, valid the next, test the newest. A boundary is a moment: rows before it are older, rows at it or
  after it newer, so rows of equal time never fall on both sides. The wanted shares say which row's time the moment is: train and
  valid may get a few rows fewer than their share, the newer split those more.
- random: a permutation by the seed.
- row_order: train, then test, then valid as the rest, as the rows come.

Wanted sizes are int(share * rows); valid gets the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from jdrec.config import SplitConfig
from jdrec.errors import ConfigError, DataError

SPLITS = ("train", "valid", "test")
TRAIN, VALID, TEST, OUT = 0, 1, 2, 3  # uint8 codes; OUT: no sample


@dataclass(frozen=True)
class Split:
    """A split as it came out. Times are milliseconds since the epoch; None without rows or without known times."""

    name: str
    rows: int
    positives: int
    first_ms: int | None
    last_ms: int | None

    @property
    def positive_share(self) -> float | None:
        return self.positives / self.rows if self.rows else None


@dataclass(frozen=True)
class Rows:
    """What becomes of every row of the features.

    Attributes:
        split: uint8 [rows], codes TRAIN, VALID, TEST, OUT.
        splits: one each, in the order of SPLITS.
        left_out: reason to number of rows, reasons with no row left away.
        boundaries_ms: of a time split, the first moments of valid and of test.
    """

    split: np.ndarray
    splits: tuple[Split, ...]
    left_out: dict[str, int]
    boundaries_ms: tuple[int, int] | None

    def batches(self, sizes: Iterator[int]) -> Iterator[np.ndarray]:
        """`split`, cut into consecutive pieces."""
        start = 0
        for size in sizes:
            yield self.split[start : start + size]
            start += size


def assign(
    labels: np.ndarray,
    known: np.ndarray,
    times: np.ndarray | None,
    config: SplitConfig,
    *,
    seed: int,
    horizon_ms: int | None = None,
    observed_until_ms: int | None = None,
) -> Rows:
    """Decides on every row.

    Args:
        labels: float32 [n], 0 or 1; anything where not `known`.
        known: bool [n], False where the label is NULL.
        times: int64 [n] request times in milliseconds, `NO_TIME` where NULL; None: there are none.
        seed: of a random split.
        horizon_ms, observed_until_ms: a row whose label is open beyond the last observed moment is left out; needs `times`.

    Raises:
        ConfigError: the shares do not add up, or times are needed and there are none.
        DataError: no row is left, or none for training.
    """
    if not len(labels):
        raise DataError("the request table has no rows, so there is nothing to learn from.", hint="Check dataset.root and its tables.")
    split = np.zeros(len(labels), np.uint8)
    left_out: dict[str, int] = {}

    def leave_out(reason: str, rows: np.ndarray) -> None:
        fresh = rows & (split != OUT)
        if fresh.any():
            left_out[reason] = int(fresh.sum())
            split[fresh] = OUT

    leave_out("the label is NULL", ~known)
    horizon = horizon_ms is not None and observed_until_ms is not None
    if config.by == "time" or horizon:
        if times is None:
            raise ConfigError("times are needed")  # the stage checks this before it reads anything
        leave_out("the request time is NULL", times == NO_TIME)
        if horizon_ms is not None and observed_until_ms is not None:
            leave_out("the label's horizon is not over", times > observed_until_ms - horizon_ms)
    samples = np.flatnonzero(split != OUT)
    if not len(samples):
        reasons = "; ".join(f"{reason}: {count:,}" for reason, count in left_out.items())
        hint = "Check features.label: its feature, horizon and observed_until."
        raise DataError(f"none of {len(labels):,} rows can be a sample ({reasons}).", hint=hint)
    boundaries = _time_split(split, samples, times, config) if config.by == "time" and times is not None else None
    if config.by != "time":
        order = samples if config.by == "row_order" else np.random.default_rng(seed).permutation(samples)
        train, test = int(config.train * len(order)), int(config.test * len(order))
        split[order[train : train + test]] = TEST
        split[order[train + test :]] = VALID
    described = tuple(describe_split(code, split, labels, times) for code in (TRAIN, VALID, TEST))
    if not described[TRAIN].rows:
        raise DataError(f"the training split is empty: {len(samples)} samples are too few.", where="preprocess.split")
    return Rows(split, described, left_out, boundaries)


NO_TIME = np.iinfo(np.int64).min


def _time_split(split: np.ndarray, samples: np.ndarray, times: np.ndarray, config: SplitConfig) -> tuple[int, int]:
    count = len(samples)
    ordered = np.sort(times[samples])
    never = int(ordered[-1]) + 1
    train, test = int(config.train * count), int(config.test * count)
    valid_from = int(ordered[train]) if train < count else never
    test_from = int(ordered[count - test]) if test else never
    if train + test >= count:  # no validation split was asked for
        valid_from = test_from
    if valid_from == ordered[0] or (train + test < count and valid_from == test_from):
        which = "training" if valid_from == ordered[0] else "validation"
        raise DataError(
            f"a time split of {count:,} samples leaves none for {which}: too many have the same time.",
            where="preprocess.split",
            hint="Use split.by=random, or other shares.",
        )
    split[samples[times[samples] >= valid_from]] = VALID
    split[samples[times[samples] >= test_from]] = TEST
    return valid_from, test_from


def describe_split(code: int, split: np.ndarray, labels: np.ndarray, times: np.ndarray | None) -> Split:
    """How one split came out; `code` is its code in `split`."""
    inside = split == code
    known = times[inside] if times is not None else np.empty(0, np.int64)
    known = known[known != NO_TIME]
    first, last = (int(known.min()), int(known.max())) if len(known) else (None, None)
    return Split(SPLITS[code], int(inside.sum()), int(labels[inside].sum()), first, last)

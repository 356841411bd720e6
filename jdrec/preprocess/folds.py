"""Expanding-window time cross-validation: which rows each fold trains on, watches and is tested on.

The samples, in order of time, are cut into one block more than there are folds, of equal size. Fold k is tested on block k and trains on all
before it, of which the newest rows are for validation. A training row whose label is not complete when the test block begins is left
out, since nobody would have it by then. Rows of equal time fall on the same side of every boundary.
"""

from __future__ import annotations

import numpy as np

from jdrec.config import SplitConfig
from jdrec.errors import ConfigError, DataError
from jdrec.preprocess.splits import OUT, TEST, TRAIN, VALID, Rows, describe_split


def fold_rows(
    rows: Rows, labels: np.ndarray, times: np.ndarray | None, config: SplitConfig, fold: int, folds: int, horizon_ms: int | None
) -> Rows:
    """What becomes of every row in one fold.

    Args:
        rows: of the plain split; what it leaves out no fold has.
        labels: float32 [n].
        times: int64 [n] request times in milliseconds.
        config: `by` has to be time; train and test say which share of a fold's training rows is for validation.
        fold: 1 to `folds`.
        horizon_ms: how long after a request its label is complete.

    Raises:
        ConfigError: the split is not by time.
        DataError: there are too few rows, or too many of the same time.
    """
    if config.by != "time" or times is None:
        raise ConfigError("folds are of time.", where="preprocess.folds", hint="Set preprocess.split.by=time.")
    samples = rows.split != OUT
    ordered = np.sort(times[samples])
    count = len(ordered)
    bounds = [int(ordered[count * block // (folds + 1)]) for block in range(1, folds + 1)]
    start = bounds[fold - 1]
    end = bounds[fold] if fold < folds else int(ordered[-1]) + 1
    before = samples & (times < start)
    incomplete = before & (times >= start - horizon_ms) if horizon_ms is not None else np.zeros(len(times), bool)
    past = np.sort(times[before & ~incomplete])
    valid_share = max(1 - config.train - config.test, 0.0) / (1 - config.test)
    split = np.full(len(times), OUT, np.uint8)
    split[samples & (times >= start) & (times < end)] = TEST
    if len(past):
        valid_from = int(past[min(int(len(past) * (1 - valid_share)), len(past) - 1)])
        split[before & ~incomplete & (times < valid_from)] = TRAIN
        split[before & ~incomplete & (times >= valid_from)] = VALID
    described = tuple(describe_split(code, split, labels, times) for code in (TRAIN, VALID, TEST))
    empty = [each.name for each in described if not each.rows]
    if empty:
        raise DataError(
            f"fold {fold} of {folds} has no {empty[0]} rows: {count:,} samples are too few, or too many have the same time.",
            where="preprocess.folds",
        )
    left_out = {"another fold's, or newer than this one": int((samples & ~before & (split == OUT)).sum())}
    left_out["the label is not complete when the test begins"] = int(incomplete.sum())
    return Rows(split, described, {reason: rows for reason, rows in left_out.items() if rows}, (valid_from, start))

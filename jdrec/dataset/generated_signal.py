"""What makes a generated request end in a purchase: a known probability, driven by what point-in-time windows hold.

The parts are those that the tutorial's features can express: the pair's behaviour types over 7 and 14 days, its activity within 10 hours,
repeated requests among the user's last ten, bad comments over 64 days, and a few attributes. All of them look strictly before the request.
"""

from __future__ import annotations

import numpy as np

from jdrec.dataset.generated_behaviour import TYPES
from jdrec.dataset.generated_entities import DAY, Products

MAX_SIZE = 100  # newest rows that a window over behaviour holds
BEHAVIOUR_7D = np.array([-0.4, 2.4, -1.2, -1.6, 1.2, 0.2, -0.9])  # by the most frequent type '1' .. '6'; last: no behaviour
DISTINCT_TYPES_14D = np.array([-0.3, -0.2, 0.0, 0.2, 0.3, 0.3, 0.3])  # by the number of distinct types
ACTIVE_10H = 1.0
REPEATS = np.array([-0.2, 0.5, 1.0])  # by earlier requests for the pair among the user's last ten: 0, 1, more
BAD_COMMENT_64D = -0.8
LEVEL = np.array([-0.4, -0.3, -0.1, 0.0, 0.2])
A1 = np.array([-0.3, 0.2, 0.0, -0.1])
WEEKEND = 0.2


def attributes_logit(requests: np.ndarray, products: Products, level: np.ndarray) -> np.ndarray:
    """The part of the logit that needs no window; float64 [requests]. level: code uint8 [requests] of the user's level."""
    day = requests["time"] // DAY % 7  # the period starts on a Monday
    return LEVEL[level] + A1[products.a1[requests["product"]]] + WEEKEND * (day >= 5)


def windows_logit(requests: np.ndarray, actions: np.ndarray, products: Products) -> np.ndarray:
    """The part of the logit that comes from windows; float64 [requests].

    Args:
        requests: records REQUEST ordered by (user, time).
        actions: records ACTION, all of these users' behaviour, in any order.
    """
    pair, actions_pair = _pair_codes(requests, actions, len(products))
    time = requests["time"].astype(np.int64)
    past = _Past(actions_pair, actions["time"].astype(np.int64), actions["type"], _span(requests, actions))
    in_7d = past.counts(pair, time, 7 * DAY)
    in_14d = past.counts(pair, time, 14 * DAY)
    in_10h = past.counts(pair, time, 10 * 3600)
    leading = np.where(in_7d.any(axis=1), in_7d.argmax(axis=1), len(TYPES))  # ties go to the smaller type, as in topn_frequency
    bad = products.first_bad_comment[requests["product"]] < time
    return (
        BEHAVIOUR_7D[leading]
        + DISTINCT_TYPES_14D[(in_14d > 0).sum(axis=1)]
        + ACTIVE_10H * in_10h.any(axis=1)
        + REPEATS[np.minimum(earlier_of_pair(requests["user"], pair), 2)]
        + BAD_COMMENT_64D * bad
    )


def earlier_of_pair(user: np.ndarray, pair: np.ndarray, rows: int = 10) -> np.ndarray:
    """How many of the user's last `rows` earlier requests are for the same pair; arrays [n] ordered by (user, time)."""
    earlier = np.zeros(len(user), np.int64)
    for back in range(1, min(rows, len(user) - 1) + 1):
        earlier[back:] += (user[back:] == user[:-back]) & (pair[back:] == pair[:-back])
    return earlier


class _Past:
    """Behaviour by pair and time, to be counted by type over ranges that end before a moment."""

    def __init__(self, pair: np.ndarray, time: np.ndarray, kind: np.ndarray, span: int):
        self._span = span
        key = pair * span + time
        order = np.argsort(key, kind="stable")
        self._key = key[order]
        self._before = np.zeros((len(key) + 1, len(TYPES)), np.int32)  # [i, type]: rows of the type among the first i
        np.cumsum(kind[order][:, None] == np.arange(len(TYPES), dtype=np.uint8), axis=0, out=self._before[1:], dtype=np.int32)

    def counts(self, pair: np.ndarray, time: np.ndarray, length: int) -> np.ndarray:
        """Rows by type, int32 [n, 6], with time - length <= t < time: the newest ones that MAXSIZE keeps."""
        end = np.searchsorted(self._key, pair * self._span + time)
        start = np.searchsorted(self._key, pair * self._span + np.maximum(time - length, 0))
        return self._before[end] - self._before[np.maximum(start, end - MAX_SIZE)]


def _pair_codes(requests: np.ndarray, actions: np.ndarray, products: int) -> tuple[np.ndarray, np.ndarray]:
    """Small codes int64 of the pairs of requests and of actions."""
    both = [records["user"].astype(np.int64) * products + records["product"] for records in (requests, actions)]
    codes = np.unique(np.concatenate(both), return_inverse=True)[1].astype(np.int64)
    return codes[: len(requests)], codes[len(requests) :]


def _span(requests: np.ndarray, actions: np.ndarray) -> int:
    return 1 + max(int(records["time"].max(initial=0)) for records in (requests, actions))


class Calibration:
    """Finds the intercept that gives a wanted label rate, from a histogram of logits."""

    _LOW, _STEP, _BINS = -20.0, 0.01, 4000

    def __init__(self) -> None:
        self._count = np.zeros(self._BINS, np.int64)

    def add(self, logits: np.ndarray) -> None:
        bins = ((logits - self._LOW) / self._STEP).astype(np.int64).clip(0, self._BINS - 1)
        self._count += np.bincount(bins, minlength=self._BINS)

    def intercept(self, rate: float) -> float:
        """By bisection; the mean probability is `rate` to about 1e-3."""
        logits = self._LOW + self._STEP * (np.arange(self._BINS) + 0.5)
        low, high = -40.0, 40.0
        for _ in range(60):
            middle = (low + high) / 2
            mean = (self._count * sigmoid(logits + middle)).sum() / max(1, self._count.sum())
            low, high = (middle, high) if mean < rate else (low, middle)
        return (low + high) / 2


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


GRID = 1_000_000  # probabilities are multiples of 1 / GRID, so that their AUC can be counted exactly in bounded memory


class AucCounter:
    """AUC of scores on the grid against labels that come in pieces; ties count one half."""

    def __init__(self) -> None:
        self._count = np.zeros((2, GRID + 1), np.int64)  # [label, score]

    def add(self, score: np.ndarray, label: np.ndarray) -> None:
        """score: int64 [n] multiples of 1 / GRID; label: bool [n]."""
        for value in (0, 1):
            self._count[value] += np.bincount(score[label == value], minlength=GRID + 1)

    def auc(self) -> float | None:
        """None where one class is missing."""
        negatives, positives = self._count
        pairs = int(negatives.sum()) * int(positives.sum())
        if not pairs:
            return None
        below = np.cumsum(negatives) - negatives
        return float((positives * (below + negatives / 2)).sum() / pairs)

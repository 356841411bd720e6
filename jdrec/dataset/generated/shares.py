"""How often and when: popularity, shares of codes, moments of a day. Times are seconds after the start of the generated period."""

from __future__ import annotations

import numpy as np

DAY = 86_400
HOURS = np.array([12, 6, 3, 2, 2, 3, 6, 12, 22, 36, 44, 44, 38, 38, 40, 42, 40, 36, 36, 44, 56, 60, 50, 28], float)


def zipf_shares(count: int, exponent: float = 0.9) -> np.ndarray:
    """Popularity of `count` keys, most popular first, summing to 1: a Zipf law whose head is flattened a little in large populations."""
    head = 1 + np.sqrt(count) / 10
    shares = (np.arange(count) + head) ** -exponent
    return shares / shares.sum()


def draw(random: np.random.Generator, shares: tuple[float, ...], size: int) -> np.ndarray:
    """Codes uint8 [size], code i with probability shares[i]."""
    ends = np.cumsum(shares)
    return np.searchsorted(ends / ends[-1], random.random(size), side="right").astype(np.uint8)


def moments(random: np.random.Generator, count: int, days: int) -> np.ndarray:
    """Times int64 [count] in the period, at hours when people shop, not in its first hour (so that behaviour can come before)."""
    ends = np.cumsum(HOURS)
    hour = np.searchsorted(ends, random.random(count) * ends[-1], side="right").clip(max=23)
    time = random.integers(0, days, count) * DAY + hour * 3600 + random.integers(0, 3600, count)
    return np.maximum(time, 3600)


def all_different(group: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Moves equal times within a group to the following seconds; both [n], ordered by (group, time)."""
    if not len(time):
        return time
    place = np.arange(len(time))
    apart = group * (int(time.max()) + len(time) + 1)
    return np.maximum.accumulate(time + apart - place) + place - apart

"""Generated impressions and visits of a range of readers.

Impressions come in sessions of a few minutes. Before most of them their reader has read pages, in a mood of its own: about the ad's topic or
another one, at length or in haste, found by searching or not. Nothing is placed because of a label.
"""

from __future__ import annotations

import numpy as np

from jdrec.dataset.generated.ads.entities import TOPIC_SHARES, Ads
from jdrec.dataset.generated.shares import all_different, draw, moments

PLACEMENT_SHARES = (0.2, 0.35, 0.3, 0.15)  # from the top of the page to its end
SESSION_SHARE = 0.55  # impressions that go on with the session of the one before
MEAN_PAUSE = 900  # seconds between two impressions of a session
REPEAT_SHARE = 0.5  # impressions of the same ad as the reader's previous one
QUIET_SHARE = 0.2  # impressions without visits of their own before them
ON_TOPIC_SHARE = 0.5  # impressions before which their reader mostly reads about the ad's topic
IN_HASTE_SHARE, IN_SEARCH_SHARE = 0.4, 0.35
MEAN_LAG = 10 * 3600

IMPRESSION = np.dtype(
    [("time", "<i4"), ("reader", "<u4"), ("ad", "<u4"), ("placement", "u1"), ("logit", "<f4"), ("attributes_logit", "<f4")]
)
VISIT = np.dtype([("time", "<i4"), ("reader", "<u4"), ("topic", "u1"), ("tenths", "<u2"), ("search", "u1")])  # tenths of a second


def draw_impressions(random: np.random.Generator, first_reader: int, per_reader: np.ndarray, ads: Ads, days: int) -> np.ndarray:
    """Records IMPRESSION ordered by (reader, time), logits still 0; a reader's times are all different.

    Args:
        per_reader: int64 [readers], how many impressions each reader sees.
        days: length of the period; sessions start in it.
    """
    count = int(per_reader.sum())
    reader = np.repeat(np.arange(len(per_reader)), per_reader)
    time = _in_sessions(random, reader, moments(random, count, days))
    order = np.lexsort((time, reader))
    impressions = np.zeros(count, IMPRESSION)
    impressions["reader"] = first_reader + reader
    impressions["time"] = all_different(reader, time[order])
    impressions["placement"] = draw(random, PLACEMENT_SHARES, count)
    fresh = _starts(reader) | (random.random(count) >= REPEAT_SHARE)
    impressions["ad"] = ads.draw(random, count)[_latest(fresh)]
    return impressions


def draw_visits(random: np.random.Generator, impressions: np.ndarray, count: int, ads: Ads) -> np.ndarray:
    """Records VISIT [count], each some seconds to days before one of the impressions and after the start of the period."""
    visits, asked = np.zeros(count, VISIT), len(impressions)
    if not asked:
        return visits[:0]
    weight = np.minimum(random.pareto(1.4, asked) + 0.2, 100) * (random.random(asked) >= QUIET_SHARE) + 1e-9
    ends = np.cumsum(weight)
    of = np.searchsorted(ends, random.random(count) * ends[-1], side="right").clip(max=asked - 1)
    moment = impressions["time"][of].astype(np.int64)
    lag = np.ceil(random.exponential(MEAN_LAG, count)).astype(np.int64)
    visits["time"] = moment - np.where(lag < moment, lag, 1 + (random.random(count) * (moment - 1)).astype(np.int64))
    visits["reader"] = impressions["reader"][of]

    on_topic = random.random(asked) < ON_TOPIC_SHARE
    topic = np.where(on_topic, ads.topic[impressions["ad"]], draw(random, TOPIC_SHARES, asked))[of]
    visits["topic"] = np.where(random.random(count) < 0.7, topic, draw(random, TOPIC_SHARES, count))
    pace = np.where(random.random(asked) < IN_HASTE_SHARE, 0.3, 1.2)[of]
    visits["tenths"] = np.clip(random.lognormal(6.0, 0.9, count) * pace, 1, 60_000)
    searching = np.where(random.random(asked) < IN_SEARCH_SHARE, 0.7, 0.05)[of]
    visits["search"] = random.random(count) < searching
    return visits


def _in_sessions(random: np.random.Generator, reader: np.ndarray, time: np.ndarray) -> np.ndarray:
    """Times int64 [n] of which many follow the one before them, of the same reader, after a pause."""
    if not len(time):
        return time
    first = _starts(reader) | (random.random(len(time)) >= SESSION_SHARE)
    session = _latest(first)
    pause = np.where(first, 0, np.ceil(random.exponential(MEAN_PAUSE, len(time)))).astype(np.int64)
    since_ever = np.cumsum(pause)
    return time[session] + since_ever - since_ever[session]


def _starts(group: np.ndarray) -> np.ndarray:
    """Whether a row is the first of its group; [n], equal groups side by side."""
    starts = np.ones(len(group), bool)
    starts[1:] = group[1:] != group[:-1]
    return starts


def _latest(mark: np.ndarray) -> np.ndarray:
    """The place of the latest marked row at or before each row; [n], the first row being marked."""
    return np.maximum.accumulate(np.where(mark, np.arange(len(mark)), 0))

"""What makes a reader click: a known probability, driven by what point-in-time windows hold.

The parts are those that the features of `conf/features/ad_clicks.yaml` can express: how long the reader read about the ad's topic within a
day, how long a page holds the reader within a week, a search within two hours, how many topics in a day, and how often the campaign was
shown within six hours. All of them look strictly before the impression.
"""

from __future__ import annotations

import numpy as np

from jdrec.dataset.generated.ads.entities import TOPICS, Ads
from jdrec.dataset.generated.past import Past, common_codes, span
from jdrec.dataset.generated.shares import DAY

HOUR = 3600
TOPIC_SECONDS = (0.05, 60, 180, 600)  # limits of the reading time, and its effect below and from each of them on
TOPIC_TIME_1D = np.array([-0.8, -0.1, 0.5, 1.2, 1.8])
PAGE_SECONDS = (25, 60)
PAGE_TIME_7D = np.array([-0.5, 0.0, 0.4])
NO_PAGE_7D = 0.0
SEARCH_2H = 0.8
TOPICS_1D = np.array([0.0, 0.3, 0.0, -0.4])  # by the number of topics: none, one, two, more
SHOWN_6H = np.array([0.4, -0.2, -0.9, -1.6])  # by earlier impressions of the campaign: none, one, two, more
PLACEMENT = np.array([0.4, 0.1, -0.1, -0.3])
CREATIVE = np.array([-0.2, 0.0, 0.3])
DEVICE = np.array([-0.1, 0.1, 0.0])
EVENING = 0.2  # from 19 o'clock


def attributes_logit(impressions: np.ndarray, ads: Ads, device: np.ndarray) -> np.ndarray:
    """The part of the logit that needs no window; float64 [impressions]. device: code uint8 [impressions] of the reader's device."""
    evening = impressions["time"] % DAY >= 19 * HOUR
    return PLACEMENT[impressions["placement"]] + CREATIVE[ads.creative[impressions["ad"]]] + DEVICE[device] + EVENING * evening


def windows_logit(impressions: np.ndarray, visits: np.ndarray, ads: Ads) -> np.ndarray:
    """The part of the logit that comes from windows; float64 [impressions].

    Args:
        impressions: records IMPRESSION ordered by (reader, time).
        visits: records VISIT, all of these readers' visits, in any order.
    """
    until = span(impressions["time"], visits["time"])
    time, read_at = impressions["time"].astype(np.int64), visits["time"].astype(np.int64)
    topic, campaign = ads.topic[impressions["ad"]], ads.campaign[impressions["ad"]]

    on_topic, read_on = common_codes(
        *(rows["reader"].astype(np.int64) * len(TOPICS) + of for rows, of in _topics(impressions, visits, topic))
    )
    tenths = visits["tenths"].astype(np.int64)[:, None]
    topic_tenths = Past(read_on, read_at, tenths, until).sums(on_topic, time, DAY)[:, 0]

    reader, read_by = common_codes(impressions["reader"], visits["reader"])
    of_topic = (visits["topic"][:, None] == np.arange(len(TOPICS), dtype=np.uint8)).astype(np.int64)
    past = Past(read_by, read_at, np.column_stack((tenths, np.ones_like(tenths), visits["search"], of_topic)), until)
    in_7d, in_2h, in_1d = (past.sums(reader, time, length) for length in (7 * DAY, 2 * HOUR, DAY))
    page_seconds = in_7d[:, 0] / 10 / np.maximum(in_7d[:, 1], 1)
    topics = (in_1d[:, 3:] > 0).sum(axis=1)

    (shown,) = common_codes(impressions["reader"].astype(np.int64) * len(ads) + campaign)
    earlier = Past(shown, time, np.ones((len(time), 1), np.int64), until).sums(shown, time, 6 * HOUR)[:, 0]
    return (
        TOPIC_TIME_1D[np.searchsorted(TOPIC_SECONDS, topic_tenths / 10, side="right")]
        + np.where(in_7d[:, 1] > 0, PAGE_TIME_7D[np.searchsorted(PAGE_SECONDS, page_seconds, side="right")], NO_PAGE_7D)
        + SEARCH_2H * (in_2h[:, 2] > 0)
        + TOPICS_1D[np.minimum(topics, 3)]
        + SHOWN_6H[np.minimum(earlier, 3)]
    )


def _topics(impressions: np.ndarray, visits: np.ndarray, topic: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    return (impressions, topic), (visits, visits["topic"])

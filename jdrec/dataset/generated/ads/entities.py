"""Generated readers and ads: their attributes and how popular each one is. Attributes are codes into the tuples of texts below."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jdrec.dataset.generated.shares import DAY, draw, zipf_shares

TOPICS = ("cars", "cooking", "finance", "fitness", "games", "garden", "music", "phones", "politics", "travel")
TOPIC_SHARES = (0.09, 0.12, 0.07, 0.09, 0.14, 0.05, 0.12, 0.11, 0.13, 0.08)
CREATIVES = ("text", "image", "video")
CREATIVE_SHARES = (0.3, 0.5, 0.2)
DEVICES = ("desktop", "phone", "tablet")
DEVICE_SHARES = (0.35, 0.55, 0.10)
COUNTRIES = ("CN", "JP", "KR", "SG", "TH")
COUNTRY_SHARES = (0.55, 0.16, 0.12, 0.09, 0.08)
ADS_OF_A_CAMPAIGN = 4

READER = np.dtype([("time", "<i4"), ("reader", "<u4"), ("device", "u1"), ("country", "u1")])
READER_TIMES = (-2000 * DAY, 0)


@dataclass(frozen=True)
class Ads:
    """Attributes of every ad, as arrays [ads]."""

    campaign: np.ndarray  # int64
    topic: np.ndarray  # of its campaign
    creative: np.ndarray
    bid: np.ndarray  # float64
    ends: np.ndarray  # cumulative popularity, for drawing

    def __len__(self) -> int:
        return len(self.campaign)

    def draw(self, random: np.random.Generator, size: int) -> np.ndarray:
        """Ads uint32 [size] by popularity."""
        return np.searchsorted(self.ends, random.random(size) * self.ends[-1], side="right").clip(max=len(self) - 1).astype(np.uint32)


def draw_ads(random: np.random.Generator, count: int) -> Ads:
    """Campaigns of four ads each; a campaign is about one topic."""
    campaign = np.arange(count) // ADS_OF_A_CAMPAIGN
    topic = draw(random, TOPIC_SHARES, -(-count // ADS_OF_A_CAMPAIGN))
    return Ads(
        campaign=campaign,
        topic=topic[campaign],
        creative=draw(random, CREATIVE_SHARES, count),
        bid=np.round(random.lognormal(-0.5, 0.6, count), 2),
        ends=np.cumsum(random.permutation(zipf_shares(count))),
    )


def draw_readers(random: np.random.Generator, first: int, count: int) -> np.ndarray:
    """Records READER of the readers first .. first + count - 1. `time` is the day of registration, before the period."""
    readers = np.zeros(count, READER)
    readers["reader"] = np.arange(first, first + count)
    readers["device"] = draw(random, DEVICE_SHARES, count)
    readers["country"] = draw(random, COUNTRY_SHARES, count)
    readers["time"] = -DAY * random.integers(1, 2000, count)
    return readers

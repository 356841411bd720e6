"""From coded records to the Parquet tables of the ad data set."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from jdrec.dataset.generated.ads.entities import COUNTRIES, CREATIVES, DEVICES, TOPICS, Ads
from jdrec.dataset.generated.files import TIME, instants, milliseconds, texts
from jdrec.dataset.generated.shares import DAY

START_MS = 1_709_481_600_000  # Monday 2024-03-04 00:00 in Asia/Shanghai, where the generated period begins
FIRST_READER, FIRST_AD, FIRST_CAMPAIGN, FIRST_IMPRESSION = 5_000_000_001, 1, 101, 9_000_000_001

SCHEMAS = {
    "impression": pa.schema(
        {
            "impression_id": pa.int64(),
            "shown_at": TIME,
            "reader_id": pa.int64(),
            "ad_id": pa.int32(),
            "campaign_id": pa.int32(),
            "topic": pa.string(),
            "placement": pa.int16(),
        }
    ),
    "click": pa.schema({"impression_id": pa.int64(), "clicked_at": pa.int64()}),
    "visit": pa.schema(
        {"reader_id": pa.int64(), "visited_at": pa.int64(), "topic": pa.string(), "seconds": pa.float64(), "from_search": pa.bool_()}
    ),
    "reader": pa.schema({"reader_id": pa.int64(), "since": pa.date32(), "device": pa.string(), "country": pa.string()}),
    "ad": pa.schema({"ad_id": pa.int32(), "campaign_id": pa.int32(), "creative": pa.string(), "bid": pa.float64()}),
}


def impression_columns(impressions: np.ndarray, ads: Ads, first_row: int) -> dict[str, pa.Array]:
    """Columns of impression for records IMPRESSION; first_row: rows written before, which number impression_id."""
    ad = impressions["ad"]
    return {
        "impression_id": pa.array(np.arange(first_row, first_row + len(impressions)) + FIRST_IMPRESSION),
        "shown_at": instants(START_MS, impressions["time"]),
        "reader_id": _numbers(impressions["reader"], FIRST_READER),
        "ad_id": _numbers(ad, FIRST_AD, pa.int32()),
        "campaign_id": _numbers(ads.campaign[ad], FIRST_CAMPAIGN, pa.int32()),
        "topic": texts(TOPICS, ads.topic[ad]),
        "placement": pa.array(impressions["placement"].astype(np.int16)),
    }


def click_columns(impression: dict[str, pa.Array], impressions: np.ndarray, clicked: np.ndarray, pause: np.ndarray) -> dict[str, pa.Array]:
    """Columns of click: rows of the clicked impressions alone. clicked: bool [n]; pause: seconds [n] until a click."""
    return {
        "impression_id": impression["impression_id"].filter(pa.array(clicked)),
        "clicked_at": pa.array(milliseconds(START_MS, impressions["time"] + pause)[clicked]),
    }


def visit_columns(visits: np.ndarray) -> dict[str, pa.Array]:
    """Columns of visit for records VISIT."""
    return {
        "reader_id": _numbers(visits["reader"], FIRST_READER),
        "visited_at": pa.array(milliseconds(START_MS, visits["time"])),
        "topic": texts(TOPICS, visits["topic"]),
        "seconds": pa.array(visits["tenths"] / 10),
        "from_search": pa.array(visits["search"] > 0),
    }


def reader_columns(readers: np.ndarray) -> dict[str, pa.Array]:
    """Columns of reader for records READER."""
    first_day = np.datetime64(START_MS, "ms").astype("datetime64[D]") + 1  # local midnight is the day before in UTC
    return {
        "reader_id": _numbers(readers["reader"], FIRST_READER),
        "since": pa.array(first_day + readers["time"] // DAY),
        "device": texts(DEVICES, readers["device"]),
        "country": texts(COUNTRIES, readers["country"]),
    }


def ad_columns(rows: np.ndarray, ads: Ads) -> dict[str, pa.Array]:
    """Columns of ad for the ads of the given numbers."""
    return {
        "ad_id": _numbers(rows, FIRST_AD, pa.int32()),
        "campaign_id": _numbers(ads.campaign[rows], FIRST_CAMPAIGN, pa.int32()),
        "creative": texts(CREATIVES, ads.creative[rows]),
        "bid": pa.array(ads.bid[rows]),
    }


def _numbers(codes: np.ndarray, first: int, kind: pa.DataType | None = None) -> pa.Array:
    """Codes counted from `first`, as bigint or the given type."""
    return pa.array(codes.astype(np.int64) + first).cast(kind or pa.int64())

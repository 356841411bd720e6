"""Generated ad clicks: schema, counts and keys, and the signal against a naive definition. The folder is tested with the JD tables."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from jdrec.config import AdGeneratorConfig, JdGeneratorConfig
from jdrec.dataset.generated.ads.behaviour import draw_impressions
from jdrec.dataset.generated.ads.entities import draw_ads
from jdrec.dataset.generated.folder import generate
from jdrec.progress import Progress

SMALL = AdGeneratorConfig(users=100, ads=24, visits=9_000, requests=2_500, days=20, seed=5)
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
START_MS = 1_709_481_600_000


def make(settings: AdGeneratorConfig | JdGeneratorConfig, root: Path) -> Any:
    return generate(settings, root, Progress.silent())


def read(root: Path, table: str) -> list[dict[str, Any]]:
    rows = pq.read_table(root / table / f"{table}.parquet").to_pylist()
    for row in rows:
        if "shown_at" in row:
            row["shown_at"] = int(np.datetime64(row["shown_at"], "ms").astype(int))
    return rows


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("generated") / "ads"
    make(SMALL, root)
    return root


@pytest.fixture(scope="module")
def root_in_pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As many rows, but drawn in many chunks of readers and ordered in many buckets."""
    root = tmp_path_factory.mktemp("generated") / "ads"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jdrec.dataset.generated.chunks.CHUNK_ROWS", 900)
        patch.setattr("jdrec.dataset.generated.spill.BUCKET_ROWS", 400)
        make(SMALL, root)
    return root


@pytest.mark.parametrize("name", ["root", "root_in_pieces"])
def test_rows_are_as_many_as_asked_for(name: str, request: pytest.FixtureRequest) -> None:
    root = request.getfixturevalue(name)
    assert {table: len(read(root, table)) for table in ("impression", "visit", "reader", "ad", "truth")} == {
        "impression": 2_500,
        "visit": 9_000,
        "reader": 100,
        "ad": 24,
        "truth": 2_500,
    }


def test_first_rows_are_of_the_declared_types(root: Path) -> None:
    types = {table: [str(field.type) for field in pq.read_schema(root / table / f"{table}.parquet")] for table in ("impression", "visit")}
    assert types == {
        "impression": ["int64", "timestamp[us]", "int64", "int32", "int32", "string", "int16"],
        "visit": ["int64", "int64", "string", "double", "bool"],
    }


def test_keys_join_and_clicks_follow_their_impression(root: Path) -> None:
    impressions = {row["impression_id"]: row for row in read(root, "impression")}
    ads = {row["ad_id"]: row["campaign_id"] for row in read(root, "ad")}
    readers = {row["reader_id"] for row in read(root, "reader")}
    assert len(impressions) == 2_500
    assert all(ads[row["ad_id"]] == row["campaign_id"] and row["reader_id"] in readers for row in impressions.values())
    clicks = read(root, "click")
    assert len({row["impression_id"] for row in clicks}) == len(clicks)
    assert all(1_000 <= row["clicked_at"] - impressions[row["impression_id"]]["shown_at"] <= 30_000 for row in clicks)


def test_impressions_come_in_sessions(root: Path) -> None:
    times: dict[int, list[int]] = {}
    for row in sorted(read(root, "impression"), key=lambda row: row["shown_at"]):
        assert START_MS < row["shown_at"] < START_MS + 21 * DAY_MS  # sessions start within 20 days
        times.setdefault(row["reader_id"], []).append(row["shown_at"])
    pauses = np.concatenate([np.diff(moments) for moments in times.values()])
    assert (pauses > 0).all()
    assert (pauses < HOUR_MS).mean() > 0.5


def naive_logit(row: dict[str, Any], visits: list[dict[str, Any]], shown: list[dict[str, Any]], tables: dict[str, Any]) -> float:
    """The documented signal, read off the written tables row by row; without the intercept."""
    now = row["shown_at"]

    def within(rows: list[dict[str, Any]], time: str, length: int) -> list[dict[str, Any]]:
        return sorted((r for r in rows if now - length <= r[time] < now), key=lambda r: r[time])[-100:]

    week = within(visits, "visited_at", 7 * DAY_MS)
    on_topic = sum(visit["seconds"] for visit in within([v for v in visits if v["topic"] == row["topic"]], "visited_at", DAY_MS))
    topics = len({visit["topic"] for visit in within(visits, "visited_at", DAY_MS)})
    earlier = len(within([r for r in shown if r["campaign_id"] == row["campaign_id"]], "shown_at", 6 * HOUR_MS))
    page = sum(visit["seconds"] for visit in week) / len(week) if week else None
    hour = (now - START_MS) // HOUR_MS % 24
    return (
        (-0.8 if on_topic < 0.05 else -0.1 if on_topic < 59.99 else 0.5 if on_topic < 179.99 else 1.2 if on_topic < 599.99 else 1.8)
        + (0.0 if page is None else -0.5 if page < 25 else 0.0 if page < 60 else 0.4)
        + (0.8 if any(visit["from_search"] for visit in within(visits, "visited_at", 2 * HOUR_MS)) else 0.0)
        + [0.0, 0.3, 0.0, -0.4][min(topics, 3)]
        + [0.4, -0.2, -0.9, -1.6][min(earlier, 3)]
        + [0.4, 0.1, -0.1, -0.3][row["placement"]]
        + {"text": -0.2, "image": 0.0, "video": 0.3}[tables["creative"][row["ad_id"]]]
        + {"desktop": -0.1, "phone": 0.1, "tablet": 0.0}[tables["device"][row["reader_id"]]]
        + (0.2 if hour >= 19 else 0.0)
    )


@pytest.mark.parametrize("name", ["root", "root_in_pieces"])
def test_probability_is_what_the_windows_before_the_impression_say(name: str, request: pytest.FixtureRequest) -> None:
    root = request.getfixturevalue(name)
    visits: dict[int, list[Any]] = {}
    for row in read(root, "visit"):
        visits.setdefault(row["reader_id"], []).append(row)
    impressions = read(root, "impression")
    shown: dict[int, list[Any]] = {}
    for row in impressions:
        shown.setdefault(row["reader_id"], []).append(row)
    tables = {
        "creative": {row["ad_id"]: row["creative"] for row in read(root, "ad")},
        "device": {row["reader_id"]: row["device"] for row in read(root, "reader")},
    }
    truth = {row["impression_id"]: row["probability"] for row in read(root, "truth")}
    probability = np.array([truth[row["impression_id"]] for row in impressions])
    logits = [naive_logit(row, visits.get(row["reader_id"], []), shown[row["reader_id"]], tables) for row in impressions]
    intercept = np.log(probability / (1 - probability)) - logits
    assert np.ptp(intercept) < 1e-3  # probabilities are rounded to 1e-6
    assert max(Counter(len(rows) for rows in visits.values())) > 100  # MAXSIZE mattered


def test_report_tells_the_label_rate_and_the_best_auc(root: Path) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    report = make(SMALL, root)
    assert report.reused
    clicked = {row["impression_id"] for row in read(root, "click")}
    truth = read(root, "truth")
    label = [row["impression_id"] in clicked for row in truth]
    assert report.label_rate == pytest.approx(np.mean(label), abs=1e-12)
    assert 0.09 < report.label_rate < 0.15
    assert report.best_auc == pytest.approx(metrics.roc_auc_score(label, [row["probability"] for row in truth]), abs=1e-12)
    assert report.best_auc > report.attributes_auc + 0.1


def test_same_seed_same_tables(root: Path, tmp_path: Path) -> None:
    make(SMALL, tmp_path / "again")
    for table in ("impression", "click", "visit", "reader", "ad", "truth"):
        assert read(tmp_path / "again", table) == read(root, table)


@pytest.mark.parametrize(
    "settings",
    [
        AdGeneratorConfig(users=1, ads=1, visits=0, requests=1, days=1),
        AdGeneratorConfig(users=1, ads=1, visits=10, requests=3_000, days=1),
        AdGeneratorConfig(users=5_000, ads=3, visits=3, requests=2, days=1, shuffle=True),
    ],
)
def test_extreme_settings(tmp_path: Path, settings: AdGeneratorConfig) -> None:
    report = make(settings, tmp_path / "ads")
    assert (report.rows["reader"], report.rows["visit"], report.rows["impression"]) == (settings.users, settings.visits, settings.requests)


def test_another_generators_folder_is_made_anew(tmp_path: Path) -> None:
    make(JdGeneratorConfig(users=5, products=5, actions=50, requests=20, days=10), tmp_path / "tables")
    make(AdGeneratorConfig(users=5, ads=5, visits=50, requests=20, days=10), tmp_path / "tables")
    assert sorted(item.name for item in (tmp_path / "tables").iterdir()) == [
        "ad",
        "click",
        "generated.json",
        "impression",
        "reader",
        "truth",
        "visit",
    ]


def test_a_reader_sees_the_same_ad_again() -> None:
    ads = draw_ads(np.random.default_rng(0), 400)
    impressions = draw_impressions(np.random.default_rng(1), 0, np.array([2_000, 2_000]), ads, 30)
    same = (impressions["ad"][1:] == impressions["ad"][:-1])[impressions["reader"][1:] == impressions["reader"][:-1]]
    assert 0.48 < same.mean() < 0.6
    assert (ads.topic[:4] == ads.topic[0]).all()

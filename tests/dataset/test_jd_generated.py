"""Generated tables: their schema and counts, the signal against a naive definition, and how a folder is reused or refused."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jdrec.config import JdGeneratorConfig
from jdrec.dataset.generated.files import local_time_text
from jdrec.dataset.generated.folder import generate
from jdrec.dataset.generated.jd.behaviour import draw_requests
from jdrec.dataset.generated.jd.entities import draw_products
from jdrec.dataset.generated.jd.signal import earlier_of_pair
from jdrec.dataset.generated.shares import all_different, zipf_shares
from jdrec.dataset.generated.truth import AucCounter, Calibration, sigmoid
from jdrec.errors import ConfigError, DataError
from jdrec.progress import Progress

SMALL = JdGeneratorConfig(users=120, products=30, actions=6_000, requests=1_500, days=40, seed=7)
FOLDERS = ("action", "bo_action", "bo_comment", "bo_product", "bo_user", "flattenRequest_clean")
DAY_MS = 86_400_000
START_MS = 1_454_256_000_000


def make(settings: JdGeneratorConfig, root: Path) -> Any:
    return generate(settings, root, Progress.silent())


def read(root: Path, folder: str) -> pa.Table:
    return pq.read_table(root / folder / f"{folder}.parquet")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("generated") / "jd"
    make(SMALL, root)
    return root


@pytest.fixture(scope="module")
def root_in_pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As many rows, but drawn in many chunks of users and ordered in many buckets."""
    root = tmp_path_factory.mktemp("generated") / "jd"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jdrec.dataset.generated.chunks.CHUNK_ROWS", 700)
        patch.setattr("jdrec.dataset.generated.spill.BUCKET_ROWS", 300)
        make(SMALL, root)
    return root


# --- what the tables look like -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", FOLDERS)
def test_schema_is_the_real_tables(root: Path, shared: Path, folder: str) -> None:
    real = pq.read_schema(shared / "jd-recommendation" / folder / f"{folder}.parquet")
    assert read(root, folder).schema.remove_metadata() == real.remove_metadata()


@pytest.mark.parametrize("name", ["root", "root_in_pieces"])
def test_rows_are_as_many_as_asked_for(name: str, request: pytest.FixtureRequest) -> None:
    root = request.getfixturevalue(name)
    assert {folder: read(root, folder).num_rows for folder in FOLDERS} == {
        "action": 1_500,
        "bo_action": 6_000,
        "bo_comment": 180,  # 30 products, 6 weeks begun
        "bo_product": 30,
        "bo_user": 120,
        "flattenRequest_clean": 1_500,
    }


def test_a_request_names_its_pair_and_its_local_time(root: Path) -> None:
    requests = read(root, "flattenRequest_clean").to_pylist()
    assert len({row["reqId"] for row in requests}) == 1_500
    assert len({row["main_id"] for row in requests}) == 1_500
    for row in requests:
        local = (np.datetime64(row["eventTime"], "s") + np.timedelta64(8, "h")).item().strftime("%Y-%m-%d %H:%M:%S")
        assert row["pair_id"] == f"{row['user_id']}_{row['sku_id']}"
        assert row["reqId"] == f"{row['pair_id']}_{local}"
        assert row["time1"] == local
        assert row["time"] == np.datetime64(row["eventTime"], "ms").astype(int)
        assert START_MS < row["time"] < START_MS + 40 * DAY_MS


def test_keys_join(root: Path) -> None:
    requests = read(root, "flattenRequest_clean")
    assert read(root, "action")["reqId"].equals(requests["reqId"])
    assert set(requests["user_id"].to_pylist()) <= set(read(root, "bo_user")["user_id"].to_pylist())
    assert set(requests["sku_id"].to_pylist()) <= set(read(root, "bo_product")["sku_id"].to_pylist())


def test_behaviour_carries_its_products_category_and_brand(root: Path) -> None:
    products = {row["sku_id"]: (row["cate"], row["br"]) for row in read(root, "bo_product").to_pylist()}
    for row in read(root, "bo_action").to_pylist():
        assert (row["cate"], row["br"]) == products[row["pair_id"].split("_")[1]]
        assert row["type"] in {"1", "2", "3", "4", "5", "6"}
        assert row["model_id"] == "" or row["type"] == "6"
        assert row["time"] == np.datetime64(row["ingestionTime"], "ms").astype(int)


def test_split_id_tells_whether_a_behaviour_row_made_the_request(root: Path) -> None:
    moments = {(row["pair_id"], row["time"]) for row in read(root, "bo_action").to_pylist()}
    requests = read(root, "flattenRequest_clean").to_pylist()
    made = [row for row in requests if row["split_id"] == 1]
    assert len(made) == 1_380  # 92 % of the requests
    assert all((row["pair_id"], row["time"]) in moments for row in made)


def test_time_order_and_random_order_hold_the_same_rows(root: Path, root_in_pieces: Path, tmp_path: Path) -> None:
    for ordered in (root, root_in_pieces):
        assert (np.diff(read(ordered, "bo_action")["time"].to_numpy()) >= 0).all()
    make(JdGeneratorConfig(users=120, products=30, actions=6_000, requests=1_500, days=40, seed=7, shuffle=True), tmp_path / "jd")
    mixed = read(tmp_path / "jd", "bo_action")
    assert 0.4 < (np.diff(mixed["time"].to_numpy()) > 0).mean() < 0.6
    keys = [("time", "ascending"), ("pair_id", "ascending"), ("type", "ascending"), ("model_id", "ascending")]
    assert mixed.sort_by(keys).equals(read(root, "bo_action").sort_by(keys))


def test_some_keys_are_hot_and_some_requests_have_no_history(root: Path) -> None:
    users = Counter(read(root, "flattenRequest_clean")["user_id"].to_pylist())
    assert users.most_common(1)[0][1] > 5 * 1_500 / 120
    pairs = Counter(read(root, "bo_action")["pair_id"].to_pylist())
    assert pairs.most_common(1)[0][1] > 50
    first: dict[str, int] = {}
    for row in read(root, "bo_action").to_pylist():
        first[row["pair_id"]] = min(row["time"], first.get(row["pair_id"], row["time"]))
    without = [first.get(row["pair_id"], math.inf) >= row["time"] for row in read(root, "flattenRequest_clean").to_pylist()]
    assert 0.05 < np.mean(without) < 0.6


# --- the signal --------------------------------------------------------------------------------------------------------


def naive_logit(row: dict[str, Any], behaviour: dict[str, list[Any]], asked: dict[str, list[Any]], tables: dict[str, Any]) -> float:
    """The documented signal, read off the written tables row by row; without the intercept."""
    now = row["time"]
    past = [(now - time, kind) for time, kind in behaviour.get(row["pair_id"], []) if time < now]
    week = Counter(kind for age, kind in sorted(past)[:100] if age <= 7 * DAY_MS)
    fortnight = {kind for age, kind in sorted(past)[:100] if age <= 14 * DAY_MS}
    leading = min(week, key=lambda kind: (-week[kind], kind)) if week else "none"
    earlier = [pair for time, pair in asked[row["user_id"]] if time < now][-10:]
    bad = any(time < now and flag == "1" for time, flag in tables["comments"][row["sku_id"]])
    weekend = ((now - START_MS) // DAY_MS) % 7 >= 5
    return (
        {"1": -0.4, "2": 2.4, "3": -1.2, "4": -1.6, "5": 1.2, "6": 0.2, "none": -0.9}[leading]
        + [-0.3, -0.2, 0.0, 0.2, 0.3, 0.3, 0.3][len(fortnight)]
        + (1.0 if any(age <= 10 * 3_600_000 for age, _ in past) else 0.0)
        + [-0.2, 0.5, 1.0][min(2, earlier.count(row["pair_id"]))]
        + (-0.8 if bad else 0.0)
        + {"1": -0.4, "2": -0.3, "3": -0.1, "4": 0.0, "5": 0.2}[tables["levels"][row["user_id"]]]
        + {"-1": -0.3, "1": 0.2, "2": 0.0, "3": -0.1}[tables["a1"][row["sku_id"]]]
        + (0.2 if weekend else 0.0)
    )


@pytest.mark.parametrize("name", ["root", "root_in_pieces"])
def test_probability_is_what_the_windows_before_the_request_say(name: str, request: pytest.FixtureRequest) -> None:
    root = request.getfixturevalue(name)
    behaviour: dict[str, list[Any]] = {}
    for row in read(root, "bo_action").to_pylist():
        behaviour.setdefault(row["pair_id"], []).append((row["time"], row["type"]))
    requests = read(root, "flattenRequest_clean").to_pylist()
    asked: dict[str, list[Any]] = {}
    for row in sorted(requests, key=lambda row: row["time"]):
        asked.setdefault(row["user_id"], []).append((row["time"], row["pair_id"]))
    comments: dict[str, list[Any]] = {}
    for row in read(root, "bo_comment").to_pylist():
        comments.setdefault(row["sku_id"], []).append((row["dt"], row["has_bad_comment"]))
    tables = {
        "comments": comments,
        "levels": {row["user_id"]: row["user_lv_cd"] for row in read(root, "bo_user").to_pylist()},
        "a1": {row["sku_id"]: row["a1"] for row in read(root, "bo_product").to_pylist()},
    }
    truth = dict(zip(*(read(root, "truth")[name].to_pylist() for name in ("reqId", "probability")), strict=True))
    probability = np.array([truth[row["reqId"]] for row in requests])
    intercept = np.log(probability / (1 - probability)) - [naive_logit(row, behaviour, asked, tables) for row in requests]
    assert np.ptp(intercept) < 1e-3  # probabilities are rounded to 1e-6
    assert max(Counter(len(rows) for rows in behaviour.values())) > 100  # MAXSIZE mattered


def test_report_tells_the_label_rate_and_the_best_auc(root: Path) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    report = make(SMALL, root)
    label = read(root, "action")["actionValue"].to_numpy()
    probability = read(root, "truth")["probability"].to_numpy()
    assert read(root, "truth")["reqId"].equals(read(root, "action")["reqId"])
    assert report.label_rate == label.mean()
    assert abs(probability.mean() - 0.11) < 1e-3
    assert 0.08 < report.label_rate < 0.15
    assert report.best_auc == pytest.approx(metrics.roc_auc_score(label, probability), abs=1e-12)
    assert report.best_logloss == pytest.approx(metrics.log_loss(label, probability), abs=1e-12)
    assert report.best_auc > report.attributes_auc + 0.2


def test_label_rate_is_met_with_hardly_any_behaviour(tmp_path: Path) -> None:
    report = make(JdGeneratorConfig(users=50, products=10, actions=0, requests=4_000, days=20, label_rate=0.3), tmp_path / "jd")
    assert report.rows["bo_action"] == 0
    assert 0.27 < report.label_rate < 0.33


@pytest.mark.parametrize(
    "settings",
    [
        JdGeneratorConfig(users=1, products=1, actions=1, requests=1, days=1),
        JdGeneratorConfig(users=1, products=1, actions=10, requests=3_000, days=1),
        JdGeneratorConfig(users=5_000, products=3, actions=3, requests=2, days=1),
    ],
)
def test_extreme_settings(tmp_path: Path, settings: JdGeneratorConfig) -> None:
    report = make(settings, tmp_path / "jd")
    assert (report.rows["bo_user"], report.rows["bo_action"], report.rows["flattenRequest"]) == (
        settings.users,
        settings.actions,
        settings.requests,
    )
    assert len(set(read(tmp_path / "jd", "flattenRequest_clean")["reqId"].to_pylist())) == settings.requests


# --- the folder --------------------------------------------------------------------------------------------------------


def test_same_seed_same_tables_and_other_seed_others(root: Path, tmp_path: Path) -> None:
    make(SMALL, tmp_path / "again")
    for folder in (*FOLDERS, "truth"):
        assert read(tmp_path / "again", folder).equals(read(root, folder))
    make(JdGeneratorConfig(users=120, products=30, actions=6_000, requests=1_500, days=40, seed=8), tmp_path / "other")
    assert not read(tmp_path / "other", "bo_action").equals(read(root, "bo_action"))


TINY = JdGeneratorConfig(users=5, products=5, actions=50, requests=20, days=10)
TINY_OTHER = JdGeneratorConfig(users=5, products=5, actions=60, requests=20, days=10)


def test_reused_while_settings_match_and_made_anew_when_not(tmp_path: Path) -> None:
    first = make(TINY, tmp_path / "jd")
    file = tmp_path / "jd" / "action" / "action.parquet"
    stamp = file.stat().st_mtime_ns
    again = make(TINY, tmp_path / "jd")
    assert (first.reused, again.reused, file.stat().st_mtime_ns) == (False, True, stamp)
    assert (again.rows, again.best_auc) == (first.rows, first.best_auc)
    assert make(TINY_OTHER, tmp_path / "jd").rows["bo_action"] == 60
    assert json.loads((tmp_path / "jd" / "generated.json").read_text())["settings"]["actions"] == 60


def test_made_anew_when_a_table_is_gone(tmp_path: Path) -> None:
    make(TINY, tmp_path / "jd")
    (tmp_path / "jd" / "bo_user" / "bo_user.parquet").unlink()
    assert make(TINY, tmp_path / "jd").reused is False
    assert read(tmp_path / "jd", "bo_user").num_rows == 5


def _foreign_folder(root: Path) -> None:
    (root / "bo_user").mkdir(parents=True)
    (root / "bo_user" / "mine.parquet").write_text("precious")


def _foreign_manifest(root: Path) -> None:
    root.mkdir()
    (root / "generated.json").write_text('{"generator": "somebody else"}')


def _file(root: Path) -> None:
    root.write_text("precious")


def _generated_with_a_guest(root: Path) -> None:
    make(TINY_OTHER, root)
    (root / "notes.txt").write_text("precious")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (_foreign_folder, "holds bo_user and was not made by the generator; nothing is overwritten"),
        (_foreign_manifest, "holds generated.json and was not made by the generator"),
        (_file, "is a file, not a folder"),
        (_generated_with_a_guest, "was generated with other settings but also holds notes.txt"),
    ],
)
def test_what_was_not_made_here_is_never_overwritten(tmp_path: Path, prepare: Callable[[Path], None], message: str) -> None:
    root = tmp_path / "jd"
    prepare(root)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and not path.name.endswith(".lock")}
    with pytest.raises(DataError, match=message):
        make(TINY, root)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and not path.name.endswith(".lock")} == before


def test_nothing_is_left_of_an_interrupted_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(TINY, tmp_path / "jd")

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("jdrec.dataset.generated.jd.columns.comment_columns", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make(TINY_OTHER, tmp_path / "jd")
    assert make(TINY, tmp_path / "jd").reused is True
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == ["jd"]


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    (tmp_path / "jd").mkdir()
    assert make(TINY, tmp_path / "jd").rows["bo_action"] == 50


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write generated tables to .*/file/jd"):
        make(TINY, tmp_path / "file" / "jd")


def test_several_at_once_make_them_once(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda _: make(TINY, tmp_path / "jd"), range(4)))
    assert sorted(report.reused for report in reports) == [False, True, True, True]


def test_more_requests_than_seconds_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="50,000 requests are too many for 1 users in 1 days"):
        make(JdGeneratorConfig(users=1, products=1, actions=1, requests=50_000, days=1), tmp_path / "jd")


# --- parts -------------------------------------------------------------------------------------------------------------


def test_equal_times_move_to_the_following_seconds() -> None:
    group = np.array([0, 0, 0, 0, 1, 1, 2])
    time = np.array([5, 5, 5, 7, 5, 9, 1])
    assert all_different(group, time).tolist() == [5, 6, 7, 8, 5, 9, 1]


def test_earlier_of_pair_counts_within_the_users_last_rows() -> None:
    user = np.array([1, 1, 1, 1, 2, 2])
    pair = np.array([10, 10, 11, 10, 10, 10])
    assert earlier_of_pair(user, pair).tolist() == [0, 1, 0, 2, 0, 1]
    assert earlier_of_pair(user, pair, rows=2).tolist() == [0, 1, 0, 1, 0, 1]


def test_requests_of_one_user_repeat_products() -> None:
    products = draw_products(np.random.default_rng(0), 1_000, 4)
    requests = draw_requests(np.random.default_rng(1), 0, np.array([2_000, 2_000]), products, 75)
    product, user = requests["product"], requests["user"]
    same = (product[1:] == product[:-1])[user[1:] == user[:-1]]
    assert 0.3 < same.mean() < 0.45
    assert all((np.diff(requests["time"][user == one]) > 0).all() for one in (0, 1))


def test_zipf_shares_fall_and_sum_to_one() -> None:
    shares = zipf_shares(1_000)
    assert shares.sum() == pytest.approx(1)
    assert (np.diff(shares) < 0).all()
    assert shares[0] > 10 * shares[-1]


def test_auc_counts_ties_as_one_half() -> None:
    counter = AucCounter()
    counter.add(np.array([10, 20, 20]), np.array([False, False, True]))
    counter.add(np.array([30, 5]), np.array([True, False]))
    assert counter.auc() == pytest.approx(5.5 / 6)
    assert AucCounter().auc() is None


def test_calibration_meets_the_rate() -> None:
    calibration = Calibration()
    logits = np.random.default_rng(0).normal(1.0, 2.0, 10_000)
    calibration.add(logits)
    assert sigmoid(logits + calibration.intercept(0.2)).mean() == pytest.approx(0.2, abs=1e-3)


def test_local_time_text_is_utc8() -> None:
    assert local_time_text(START_MS, np.array([0, 86_399, 86_400, -1, 28 * 86_400 + 3_661])).to_pylist() == [
        "2016-02-01 00:00:00",
        "2016-02-01 23:59:59",
        "2016-02-02 00:00:00",
        "2016-01-31 23:59:59",
        "2016-02-29 01:01:01",
    ]


def test_hot_pairs_have_their_rows(tmp_path: Path) -> None:
    make(
        JdGeneratorConfig(users=40, products=10, actions=6_000, requests=300, days=40, seed=7, hot_pairs=2, hot_rows=1_500), tmp_path / "jd"
    )
    actions = Counter(read(tmp_path / "jd", "bo_action")["pair_id"].to_pylist())
    assert sum(actions.values()) == 6_000
    assert sum(rows >= 1_500 for rows in actions.values()) == 2
    requests = set(read(tmp_path / "jd", "flattenRequest_clean")["pair_id"].to_pylist())
    assert {pair for pair, rows in actions.items() if rows >= 1_500} <= requests


def test_hot_pairs_that_find_no_room_are_refused(tmp_path: Path) -> None:
    settings = JdGeneratorConfig(users=40, products=10, actions=6_000, requests=300, days=40, hot_pairs=4, hot_rows=1_000)
    with pytest.raises(ConfigError, match=r"1 hot pairs of 1,000 rows find no room") as error:
        make(settings, tmp_path / "jd")
    assert error.value.where == "dataset.generate.hot_pairs"

"""task=score in process: what is scored, as what, and what the lists hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from jdrec.errors import ConfigError, DataError, StageError
from jdrec.files import locked
from jdrec.online.session import RequestSession
from jdrec.score.run import score
from jdrec.stages import Run
from jdrec.verify.offline import Offline, model_of
from tests.engines.tables import write_tables
from tests.verify.small_run import REQUESTS, START, make_run, with_config

NAMED = {"user": "reader", "product": "ad"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("run"))


def scored(run: Run, out: Path, **settings: Any) -> Path:
    score(with_config(run, score={**NAMED, "out": str(out), **settings}))
    return out


def each_row(out: Path) -> pa.Table:
    return pq.read_table(out / json.loads((out / "score.json").read_text())["of_each_row"])


def candidates(file: Path, **changes: Any) -> list[dict[str, Any]]:
    """Every reader and ad at a moment after all requests, without their key."""
    rows = [
        {"at": START + 90 * 60_000, "reader": reader, "ad": ad, "price": 0.25, "day": None}
        for reader in ("r0", "r1", "new", None)
        for ad in (3, 1, 2)
    ]
    schema = {"at": pa.timestamp("ms", "UTC"), "reader": pa.string(), "ad": pa.int32(), "price": pa.float32(), "day": pa.date32()}
    columns = {name: pa.array([row[name] for row in rows], type_) for name, type_ in schema.items()}
    pq.write_table(pa.table({**columns, **changes}), file)
    return rows


def test_the_request_table_gets_the_scores_of_training(run: Run, tmp_path: Path) -> None:
    rows = each_row(scored(run, tmp_path / "out", chunk_rows=50))
    assert rows.schema.names == ["id", "reader", "ad", "at", "row", "score"]
    assert rows["row"].to_pylist() == list(range(REQUESTS))
    offline = Offline.of_run(run)
    assert rows["id"].to_pylist() == offline.keys.to_pylist()
    np.testing.assert_allclose(rows["score"].to_numpy(), offline.scores(np.arange(REQUESTS)), rtol=0, atol=1e-6)
    assert np.ptp(rows["score"].to_numpy()) > 0.1
    assert sorted(item.name for item in (tmp_path / "out" / "rows").rglob("*.parquet")) == [f"part-00000{n}.parquet" for n in range(3)]


def test_the_lists_are_the_best_of_each(run: Run, tmp_path: Path) -> None:
    out = scored(run, tmp_path / "out", products_per_user=2, users_per_product=1)
    rows = each_row(out).to_pylist()
    for name, group, item, k in (("by_user", "reader", "ad", 2), ("by_product", "ad", "reader", 1)):
        expected = []
        for key in sorted({row[group] for row in rows if row["reader"] is not None}):
            own: dict[Any, dict[str, Any]] = {}
            for row in rows:
                if row[group] == key and row["reader"] is not None and row["score"] > own.get(row[item], {"score": -1})["score"]:
                    own[row[item]] = row
            ordered = sorted(own.values(), key=lambda row: (-row["score"], row[item]))[:k]
            expected += [{**row, "rank": rank} for rank, row in enumerate(ordered, 1)]
        table = pq.read_table(out / f"{name}.parquet")
        assert table.schema.names == [group, "rank", item, "score", "id", "at", "row"]
        assert table.to_pylist() == [{name: row[name] for name in table.schema.names} for row in expected]


def test_candidates_are_asked_alone_as_in_the_service(run: Run, tmp_path: Path) -> None:
    asked = candidates(tmp_path / "now.parquet")
    rows = each_row(scored(run, tmp_path / "out", requests=str(tmp_path / "now.parquet"), chunk_rows=5))
    assert rows.schema.names == ["reader", "ad", "at", "row", "score"]
    session = RequestSession(run.feature_set, run.tables)
    encoder, scorer = model_of(run)
    expected = [float(scorer.scores(encoder.encode(session.compute([{"id": None, "flag": None, **row}])))[0, 0]) for row in asked]
    np.testing.assert_allclose(rows["score"].to_numpy(), expected, rtol=0, atol=1e-6)
    assert len({round(value, 4) for value in expected[:3]}) > 1


def test_rows_as_a_table_see_those_before_them(run: Run, tmp_path: Path) -> None:
    """The same file as candidates and as a table: only the table's rows are in each other's windows."""
    table = pq.read_table(run.folder / "tables" / "request" / "part.parquet")
    pq.write_table(table, tmp_path / "again.parquet")
    file = str(tmp_path / "again.parquet")
    as_table = each_row(scored(run, tmp_path / "a", requests=file, rows="table"))
    np.testing.assert_allclose(as_table["score"].to_numpy(), Offline.of_run(run).scores(np.arange(REQUESTS)), rtol=0, atol=1e-6)
    alone = each_row(scored(run, tmp_path / "b", requests=file))
    assert not np.allclose(alone["score"].to_numpy(), as_table["score"].to_numpy(), atol=1e-6)


def test_csv_in_and_out(run: Run, tmp_path: Path) -> None:
    (tmp_path / "now.csv").write_text("at,reader,ad,price,day\n1459424480000,r1,2,0.5,2016-03-31\n1459424480000,r1,3,,\n")
    out = scored(run, tmp_path / "out", requests=str(tmp_path / "now.csv"), format="csv", users_per_product=0, keep_rows=False)
    table = pyarrow.csv.read_csv(out / "by_user.csv")
    assert table.schema.names == ["reader", "rank", "ad", "score", "at", "row"]
    assert table["reader"].to_pylist() == ["r1", "r1"] and table["rank"].to_pylist() == [1, 2]
    assert sorted(item.name for item in out.iterdir()) == [".lock", "by_user.csv", "score.json"]


def test_other_formats_of_the_same_lists_are_replaced(run: Run, tmp_path: Path) -> None:
    scored(run, tmp_path / "out")
    scored(run, tmp_path / "out", format="csv")
    assert sorted(item.name for item in (tmp_path / "out").glob("by_*")) == ["by_product.csv", "by_user.csv"]


def test_unchanged_content_is_not_scored_again_and_other_content_is(run: Run, tmp_path: Path) -> None:
    file, out = tmp_path / "now.parquet", tmp_path / "out"
    candidates(file)
    parts = {item: item.stat().st_mtime_ns for item in (scored(run, out, requests=str(file)) / "rows").rglob("*.parquet")}
    scored(run, out, requests=str(file), products_per_user=1)
    assert {item: item.stat().st_mtime_ns for item in (out / "rows").rglob("*.parquet")} == parts
    candidates(file, price=pa.array([0.75] * 12, pa.float32()))
    scored(run, out, requests=str(file))
    assert len(list((out / "rows").iterdir())) == 1
    assert not set(parts) & set((out / "rows").rglob("*.parquet"))


def test_a_damaged_part_is_made_again(run: Run, tmp_path: Path) -> None:
    out = scored(run, tmp_path / "out", chunk_rows=50)
    before = each_row(out)
    part = sorted((out / "rows").rglob("*.parquet"))[1]
    part.write_bytes(part.read_bytes()[:-7])
    assert each_row(scored(run, out, chunk_rows=50)).equals(before)


def test_columns_named_as_ours_stay(run: Run, tmp_path: Path) -> None:
    from jdrec.score.parts import names_of

    assert names_of(["score", "score_", "user"]) == {"row": "row", "score": "score__", "rank": "rank"}


def test_a_second_process_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with locked(tmp_path / "out" / ".lock"), pytest.raises(StageError, match=r"score\.out: another task=score is writing to"):
        scored(run, tmp_path / "out")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"user": None}, ConfigError, r"score\.user: is not given: which column of 'request' names the user\? Its columns: id, at, reader"),
        ({"product": "add"}, ConfigError, r"score\.product: the request table 'request' has no column 'add'\. Did you mean 'ad'\?"),
        ({"product": "reader"}, ConfigError, r"score\.product: 'reader' cannot be both"),
        ({"requests": "no/such.parquet"}, DataError, r"score\.requests: table 'request': there is no no/such\.parquet\."),
    ],
)
def test_mistakes_are_one_message(settings: dict[str, Any], error: type[Exception], message: str, run: Run, tmp_path: Path) -> None:
    with pytest.raises(error, match=message):
        score(with_config(run, score={**NAMED, "out": str(tmp_path / "out"), **settings}))


def test_a_file_without_a_needed_column(run: Run, tmp_path: Path) -> None:
    candidates(tmp_path / "now.parquet")
    pq.write_table(pq.read_table(tmp_path / "now.parquet").rename_columns(["at", "readr", "ad", "price", "day"]), tmp_path / "now.parquet")
    with pytest.raises(DataError, match=r"score\.requests: .* has no column 'reader' \(string\)\. Did you mean 'readr'\?"):
        scored(run, tmp_path / "out", requests=str(tmp_path / "now.parquet"))


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_no_rows(suffix: str, run: Run, tmp_path: Path) -> None:
    file = tmp_path / f"now.{suffix}"
    candidates(tmp_path / "some.parquet")
    if suffix == "parquet":
        pq.write_table(pq.read_table(tmp_path / "some.parquet").slice(0, 0), file)
    else:
        file.write_text("at,reader,ad,price,day\n")
    with pytest.raises(DataError, match=r"score\.requests: there are no rows to score"):
        scored(run, tmp_path / "out", requests=str(file))


def test_a_request_without_its_time(run: Run, tmp_path: Path) -> None:
    candidates(tmp_path / "now.parquet", at=pa.array([None] * 12, pa.timestamp("ms", "UTC")))
    with pytest.raises(DataError, match=r"request\.at is NULL"):
        scored(run, tmp_path / "out", requests=str(tmp_path / "now.parquet"))


def test_an_empty_request_table(run: Run, tmp_path: Path) -> None:
    write_tables(run.feature_set, {name: [] for name in run.feature_set.tables}, tmp_path / "tables")
    config = with_config(run, tmp_path / "tables", score={**NAMED, "out": str(tmp_path / "out")})
    with pytest.raises(DataError, match="there are no rows to score"):
        score(config)

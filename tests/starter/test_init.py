"""task=init: what it sees in a folder, and that what it writes passes check and runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from jdrec.errors import DataError
from jdrec.features.types import SqlType
from jdrec.starter.guess import guess
from jdrec.starter.look import look

DAY = 86_400_000
START = 1_700_000_000_000


def a_shop(root: Path) -> Path:
    """Visits that end in an order or not, their clicks, and customers; one table is CSV, one has types that OpenMLDB lacks."""
    for name in ("visit", "click"):
        (root / name).mkdir(parents=True)
    rows = range(40)
    visit = {
        "visit_id": pa.array([f"v{row}" for row in rows]),
        "at": pa.array([START + row * DAY // 4 for row in rows], pa.timestamp("ms", tz="UTC")),
        "customer": pa.array([row % 7 for row in rows], pa.int64()),
        "item": pa.array([f"i{row % 3}" for row in rows]),
        "price": pa.array([row / 4 for row in rows], pa.float64()),
        "bought": pa.array([row % 5 == 0 for row in rows]),
        "tags": pa.array([["a"]] * 40, pa.list_(pa.string())),
    }
    pq.write_table(pa.table(visit), root / "visit" / "part-0.parquet")
    click = {
        "customer": pa.array([row % 7 for row in rows], pa.int64()),
        "clicked": pa.array([START + row * DAY // 5 for row in rows], pa.int64()),
        "page": pa.array([f"p{row % 4}" for row in rows]),
        "seconds": pa.array([float(row) for row in rows], pa.float32()),
    }
    pq.write_table(pa.table(click), root / "click" / "part-0.parquet")
    (root / "customer.csv").write_text("customer,city,since\n" + "".join(f"{row},c{row % 2},2023-01-0{row + 1}\n" for row in range(7)))
    return root


def test_types_keys_and_times_are_seen(tmp_path: Path) -> None:
    tables = {table.name: table for table in look(a_shop(tmp_path / "shop"))}
    assert {name: table.path for name, table in tables.items()} == {
        "click": "click/*.parquet",
        "customer": "customer.csv",
        "visit": "visit/*.parquet",
    }
    visit = tables["visit"].columns
    assert {name: column.type.value for name, column in visit.items()} == {
        "visit_id": "string", "at": "timestamp", "customer": "bigint", "item": "string", "price": "double", "bought": "bool",
    }  # fmt: skip
    assert [name for name, column in visit.items() if column.unique] == ["visit_id", "at"]
    assert tables["visit"].skipped == {"tags": "list<element: string>"}
    assert tables["click"].time is not None and tables["click"].time.name == "clicked"
    assert tables["customer"].columns["since"].type is SqlType.DATE and tables["customer"].time is None


def test_roles_are_guessed(tmp_path: Path) -> None:
    found = guess(look(a_shop(tmp_path / "shop")))
    assert (found.request.name, found.key, found.time, found.label) == ("visit", "visit_id", "at", "label")
    assert found.joins == {"customer": "{last_join: customer, on: customer}"}
    assert list(found.windows) == ["click_customer_1d", "click_customer_7d", "customer_7d"]
    features = {name: value for group in found.features.values() for name, value in group.items()}
    assert features["label"] == "{expr: case when bought then 1 else 0 end}"
    assert features["click_customer_7d_avg_seconds"] == "{over: click_customer_7d, expr: avg(seconds)}"
    assert features["customer_city"] == "{from: customer, expr: city, kind: categorical}"
    assert not any("bought" in value for name, value in features.items() if name != "label")


@pytest.mark.parametrize(
    ("columns", "label", "note"),
    [
        ("returned", "{expr: returned}", "is it what is to be predicted?"),
        ("returned,gift", None, "it may be returned or gift"),
    ],
)
def test_a_column_of_0_and_1_is_seen_whatever_its_name(columns: str, label: str | None, note: str, tmp_path: Path) -> None:
    ends = ["0,1", "1,0", "1,1"]
    rows = [f"o{row},2024-01-0{row + 1} 10:00:00,{ends[row % 3][: len(columns.split(',')) * 2 - 1]}" for row in range(6)]
    (tmp_path / "orders.csv").write_text(f"order,at,{columns}\n" + "\n".join(rows) + "\n")
    found = guess(look(tmp_path))
    assert found.features.get("The label.", {}).get("label") == label
    assert note in found.label_note + "".join(found.notes)
    assert (label is None) == ("request_returned" in found.features["The request itself."])


def test_the_real_tables_are_understood(shared: Path) -> None:
    found = guess(look(shared / "jd-recommendation"))
    assert (found.key, found.time, found.label) == ("reqId", "eventTime", "label")
    assert found.features["The label."] == {"label": "{from: action, expr: actionValue}"}
    assert {"bo_product", "bo_user"} <= set(found.joins)


def jdrec(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "jdrec", *arguments], cwd=cwd, capture_output=True, text=True)


def test_what_is_written_passes_check_and_extracts(tmp_path: Path) -> None:
    a_shop(tmp_path / "shop")
    done = jdrec("task=init", "init.folder=shop", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "a row of visit is a request" in done.stdout
    written = yaml.safe_load((tmp_path / "conf_mine" / "features" / "shop.yaml").read_text())
    assert written["request"] == {"table": "visit", "key": "visit_id", "time": "at"}
    done = jdrec("--config-dir", "conf_mine", "+experiment=shop", "task=preprocess", "hydra.run.dir=out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert pq.read_metadata(tmp_path / "out" / "features.parquet").num_rows == 40
    again = jdrec("task=init", "init.folder=shop", cwd=tmp_path)
    assert (again.returncode, again.stderr) == (
        1,
        "error: init.out: conf_mine/dataset/shop.yaml is there already. Name another folder, or another init.name.\n",
    )


def test_a_folder_without_requests_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n1,3\n")
    with pytest.raises(DataError, match="it needs a time column and a column whose values are unique"):
        guess(look(tmp_path))


@pytest.mark.parametrize("content", [{}, {"notes.txt": "x"}, {"a.parquet": "no parquet"}])
def test_a_folder_without_tables_is_one_message(content: dict[str, str], tmp_path: Path) -> None:
    for name, text in content.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=r"no table in|cannot read"):
        look(tmp_path)

"""Tables on disk: files found, columns checked before anything runs, values as the declared types."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jdrec.dataset.fingerprint import content_hash
from jdrec.dataset.tables import TableFiles, TableSet, fingerprint, open_tables
from jdrec.errors import DataError
from jdrec.features.resolve import resolve
from jdrec.features.spec import FeatureSet, Table
from jdrec.features.types import SqlType
from tests.engines.conftest import config_of

T = SqlType
UTC = datetime.timezone.utc


def table(path: str = "t", **columns: SqlType) -> Table:
    return Table("events", columns, path)


def write(path: Path, **columns: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def read(files: TableFiles, column: str) -> list[Any]:
    return [value for part in files.read([column]) for value in part[column].to_pylist()]


def error_of(declared: Table, root: Path) -> str:
    with pytest.raises(DataError) as error:
        TableFiles(declared, root, "Asia/Shanghai")
    return str(error.value).replace(str(root), "ROOT")


# --- files -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["t", "t/*.parquet", "t/a.parquet"])
def test_a_folder_a_glob_or_a_file(path: str, tmp_path: Path) -> None:
    write(tmp_path / "t" / "a.parquet", x=pa.array([1, 2], pa.int32()))
    assert read(TableFiles(table(path, x=T.INT), tmp_path, "UTC"), "x") == [1, 2]


def test_rows_come_in_the_order_of_the_files_names(tmp_path: Path) -> None:
    for name, value in (("part-10", 3), ("part-02", 2), ("part-01", 1)):
        write(tmp_path / "t" / f"{name}.parquet", x=pa.array([value], pa.int32()))
    (tmp_path / "t" / "_SUCCESS").touch()
    write(tmp_path / "t" / ".part-00.parquet", x=pa.array([9], pa.int32()))
    assert read(TableFiles(table(x=T.INT), tmp_path, "UTC"), "x") == [1, 2, 3]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("missing", "dataset.tables.events.path: table 'events': there is no ROOT/missing. Is dataset.root right?"),
        ("t/*.csv", "dataset.tables.events.path: table 'events': no Parquet or CSV file matches ROOT/t/*.csv."),
        ("empty", "dataset.tables.events.path: table 'events': no Parquet or CSV file matches ROOT/empty."),
        (
            "both",
            "dataset.tables.events.path: table 'events': ROOT/both has both Parquet and CSV files. Say which with dataset.tables.events.format, or name one kind with a glob.",
        ),
        ("notes.txt", "dataset.tables.events.path: table 'events': ROOT/notes.txt is neither .parquet nor .csv."),
    ],
)
def test_no_usable_files(path: str, message: str, tmp_path: Path) -> None:
    write(tmp_path / "t" / "a.parquet", x=pa.array([1]))
    write(tmp_path / "both" / "a.parquet", x=pa.array([1]))
    (tmp_path / "both" / "a.csv").write_text("x\n1\n")
    (tmp_path / "notes.txt").write_text("x\n")
    (tmp_path / "empty").mkdir()
    assert error_of(table(path, x=T.BIGINT), tmp_path) == message


def test_the_format_that_is_said_is_read(tmp_path: Path) -> None:
    write(tmp_path / "t" / "a.parquet", x=pa.array([1], pa.int32()))
    (tmp_path / "t" / "a.csv").write_text("x\n2\n")
    declared = table("t", x=T.INT)
    assert [read(TableFiles(replace(declared, format=format_), tmp_path, "UTC"), "x") for format_ in ("parquet", "csv")] == [[1], [2]]
    message = "dataset.tables.events.path: table 'events': ROOT/t/a.parquet is no .csv."
    assert error_of(replace(table("t/a.parquet", x=T.INT), format="csv"), tmp_path) == message


def test_no_rows_is_no_error(tmp_path: Path) -> None:
    write(tmp_path / "t" / "a.parquet", x=pa.array([], pa.int32()))
    files = TableFiles(table(x=T.INT), tmp_path, "UTC")
    assert (read(files, "x"), files.max_time("x")) == ([], None)


# --- columns -----------------------------------------------------------------------------------------------------------------


def test_a_missing_column_names_the_nearest(tmp_path: Path) -> None:
    write(tmp_path / "t" / "a.parquet", user_id=pa.array(["u"]), extra=pa.array([1]))
    expected = "dataset.tables.events.columns: table 'events': ROOT/t/a.parquet has no column 'userid' (string). Did you mean 'user_id'?"
    assert error_of(table(userid=T.STRING), tmp_path) == expected


@pytest.mark.parametrize(
    ("found", "declared", "advice"),
    [
        (pa.array(["1"]), T.INT, "as string, but int is declared. Declare it string, or convert the file."),
        (pa.array([1]), T.STRING, "as int64, but string is declared. Declare it bigint, or convert the file."),
        (pa.array([1]), T.TIMESTAMP, "as int64, but timestamp is declared. Declare it bigint, or convert the file."),
        (pa.array([1.5]), T.INT, "as double, but int is declared. Declare it double, or convert the file."),
        (pa.array([0], pa.timestamp("ms")), T.DATE, "as timestamp[ms], but date is declared. Declare it timestamp, or convert the file."),
        (pa.array([[1]]), T.INT, "but int is declared. OpenMLDB has no such type: convert the file."),
    ],
)
def test_a_wrong_type_is_refused(found: pa.Array, declared: SqlType, advice: str, tmp_path: Path) -> None:
    write(tmp_path / "t" / "a.parquet", x=found)
    message = error_of(table(x=declared), tmp_path)
    assert message.startswith("dataset.tables.events.columns.x: table 'events': ROOT/t/a.parquet has column 'x' as ")
    assert message.endswith(advice)


@pytest.mark.parametrize(
    ("found", "declared", "values"),
    [
        (pa.array([1, None], pa.int32()), T.BIGINT, [1, None]),
        (pa.array([1, None], pa.int8()), T.INT, [1, None]),
        (pa.array([1, None], pa.int64()), T.INT, [1, None]),  # wider than declared, but nothing is lost
        (pa.array([1.5, None], pa.float32()), T.DOUBLE, [1.5, None]),
        (pa.array([1.5, None, float("inf")], pa.float64()), T.FLOAT, [1.5, None, float("inf")]),
        (pa.array([3, None], pa.int16()), T.DOUBLE, [3.0, None]),
        (pa.array(["a", None], pa.large_string()), T.STRING, ["a", None]),
        (pa.array(["a", None, "a"]).dictionary_encode(), T.STRING, ["a", None, "a"]),
        (pa.nulls(2), T.STRING, [None, None]),
        (pa.nulls(2), T.TIMESTAMP, [None, None]),
        (pa.array([True, None]), T.BOOL, [True, None]),
        (pa.array([datetime.date(1969, 1, 2)]), T.DATE, [datetime.date(1969, 1, 2)]),
    ],
)
def test_values_keep_their_meaning(found: pa.Array, declared: SqlType, values: list[Any], tmp_path: Path) -> None:
    write(tmp_path / "t" / "a.parquet", x=found)
    files = TableFiles(table(x=declared), tmp_path, "UTC")
    (part,) = files.read(["x"])
    assert part["x"].type == declared.arrow
    assert part["x"].to_pylist() == values


@pytest.mark.parametrize(
    ("found", "declared", "message"),
    [
        (
            pa.array([1, 2**31, None, 2**40]),
            T.INT,
            "as int64, and 2 of 4 values are not exact as int, e.g. 2147483648, 1099511627776. Declare it bigint.",
        ),
        (pa.array([0.5, 0.1]), T.FLOAT, "as double, and 1 of 2 values are not exact as float, e.g. 0.1. Declare it double."),
    ],
)
def test_a_narrower_type_that_loses_values_is_refused(found: pa.Array, declared: SqlType, message: str, tmp_path: Path) -> None:
    write(tmp_path / "t" / "a.parquet", x=found)
    assert error_of(table(x=declared), tmp_path).endswith(message)


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 1000), ("us", 10**6), ("ns", 10**9)])
@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Shanghai"])
def test_parquet_times_are_instants(unit: str, factor: int, zone: str | None, tmp_path: Path) -> None:
    write(tmp_path / "t" / "a.parquet", x=pa.array([1_459_419_080 * factor, None], pa.timestamp(unit, zone)))
    files = TableFiles(table(x=T.TIMESTAMP), tmp_path, "America/New_York")
    assert read(files, "x") == [datetime.datetime(2016, 3, 31, 10, 11, 20, tzinfo=UTC), None]
    assert files.max_time("x") == 1_459_419_080_000


def test_times_are_cut_to_milliseconds_downwards(tmp_path: Path) -> None:
    write(tmp_path / "t" / "a.parquet", x=pa.array([1999, -1], pa.timestamp("us")))
    (part,) = TableFiles(table(x=T.TIMESTAMP), tmp_path, "UTC").read(["x"])
    assert part["x"].cast(pa.int64()).to_pylist() == [1, -1]


def test_strings_come_as_dictionaries_on_demand(tmp_path: Path) -> None:
    write(tmp_path / "t" / "a.parquet", x=pa.array(["b", None, "b"]), y=pa.array(["b", None, "b"]))
    write(tmp_path / "t" / "b.parquet", x=pa.array(["b"], pa.large_string()), y=pa.array(["b"]).dictionary_encode())
    parts = list(TableFiles(table(x=T.STRING, y=T.STRING), tmp_path, "UTC").read(["x", "y"], encoded=["x"]))
    for part, values in zip(parts, (["b", None, "b"], ["b"]), strict=True):
        assert part["x"].type == pa.dictionary(pa.int32(), pa.string()) and part["y"].type == pa.string()
        assert part["x"].to_pylist() == part["y"].to_pylist() == values


def test_a_file_that_is_no_parquet(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_text("this is no Parquet file")
    assert error_of(table("t.parquet", x=T.INT), tmp_path).startswith(
        "table 'events': cannot read ROOT/t.parquet: Parquet magic bytes not found"
    )


# --- CSV ---------------------------------------------------------------------------------------------------------------------


def csv(tmp_path: Path, text: str, declared: SqlType, zone: str = "Asia/Shanghai") -> TableFiles:
    (tmp_path / "t.csv").write_text(text)
    return TableFiles(table("t.csv", x=declared), tmp_path, zone)


@pytest.mark.parametrize(
    ("text", "declared", "values"),
    [
        ('x,y\na,1\n"",2\n,3\nnull,4\n"null",5\n"a,b",6\n', T.STRING, ["a", "", None, None, "null", "a,b"]),
        ("x,y\n1,\n,2\n-5,\n", T.INT, [1, None, -5]),
        ("x,y\n0.1,\n,\n1e20,\n", T.DOUBLE, [0.1, None, 1e20]),
        ("x,y\ntrue,\n0,\n,\n", T.BOOL, [True, False, None]),
        ("x,y\n2016-02-29,\n,\n", T.DATE, [datetime.date(2016, 2, 29), None]),
        ("\ufeffx,y\n1,\n", T.INT, [1]),
        ("y,x\n,7\n", T.BIGINT, [7]),
        ("x,y\n", T.INT, []),
    ],
)
def test_csv_values(text: str, declared: SqlType, values: list[Any], tmp_path: Path) -> None:
    assert read(csv(tmp_path, text, declared), "x") == values


@pytest.mark.parametrize(
    "cells",
    ["2016-03-31 18:11:20", "2016-03-31T18:11:20.000", "2016-03-31 10:11:20Z", "2016-03-31T18:11:20+08:00", "1459419080000"],
)
def test_csv_times_without_a_zone_are_the_data_sets(cells: str, tmp_path: Path) -> None:
    files = csv(tmp_path, f"x,y\n,\n{cells},\n", T.TIMESTAMP)
    assert read(files, "x") == [None, datetime.datetime(2016, 3, 31, 10, 11, 20, tzinfo=UTC)]
    assert files.max_time("x") == 1_459_419_080_000


def test_bad_csv_values_are_counted_and_shown(tmp_path: Path) -> None:
    files = csv(tmp_path, "x,y\n1,\ntwo,\n99999999999,\ntwo,\n", T.INT)
    with pytest.raises(DataError) as error:
        read(files, "x")
    message = str(error.value).replace(str(tmp_path), "ROOT")
    assert message == (
        "dataset.tables.events.columns.x: table 'events': ROOT/t.csv has 3 of 4 values in column 'x' that are not int, e.g. 'two', '99999999999'."
    )


def test_broken_csv_lines_and_headers(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*t\.csv: CSV parse error: Expected 2 columns, got 3: 1,2,3"):
        read(csv(tmp_path, "x,y\n1,2,3\n", T.INT), "x")
    with pytest.raises(DataError, match="is empty; its first line names the columns"):
        csv(tmp_path, "", T.INT)
    with pytest.raises(DataError, match=r"has no column 'x' \(int\)\. Did you mean 'xx'\?"):
        csv(tmp_path, "xx,yy\n1,2\n", T.INT)


# --- the set -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def opened(shared: Path) -> TableSet:
    from jdrec.features.resolve import resolve
    from tests.engines.conftest import config_of

    feature_set: FeatureSet = resolve(config_of("jd", "jd_deepfm", shared / "jd-recommendation"))
    return open_tables(feature_set, shared / "jd-recommendation", "Asia/Shanghai")


def test_the_tutorials_tables(opened: TableSet, shared: Path) -> None:
    assert sorted(opened) == ["action", "bo_action", "bo_comment", "bo_product", "bo_user", "flattenRequest"]
    assert opened.max_time("bo_action", "ingestionTime") == 1_460_303_172_000
    ((name, size, _),) = opened.fingerprint()["bo_user"]
    assert (name, size) == ("bo_user.parquet", (shared / "jd-recommendation/bo_user/bo_user.parquet").stat().st_size)
    with pytest.raises(DataError, match=r"there is no table 'bo_usr'\. Did you mean 'bo_user'\?"):
        opened.max_time("bo_usr", "ingestionTime")


def test_the_fingerprint_follows_the_files(tmp_path: Path) -> None:
    write(tmp_path / "t" / "a.parquet", x=pa.array([1], pa.int32()))
    before = TableFiles(table(x=T.INT), tmp_path, "UTC").fingerprint()
    assert TableFiles(table(x=T.INT), tmp_path, "UTC").fingerprint() == before
    write(tmp_path / "t" / "b.parquet", x=pa.array([2], pa.int32()))
    assert TableFiles(table(x=T.INT), tmp_path, "UTC").fingerprint() != before


def test_the_fingerprint_is_of_the_content_not_of_the_place(tmp_path: Path) -> None:
    for place, value in (("one", 1), ("same", 1), ("other", 2)):
        write(tmp_path / place / "t" / "a.parquet", x=pa.array([value], pa.int32()))
    one, same, other = (TableFiles(table(x=T.INT), tmp_path / place, "UTC").fingerprint() for place in ("one", "same", "other"))
    assert one == same and [row[:2] for row in one] == [row[:2] for row in other] and one != other


def test_a_file_that_did_not_change_is_not_read_again(tmp_path: Path) -> None:
    file, memo = tmp_path / "a.parquet", tmp_path / "memo"
    file.write_bytes(b"abc")
    first = content_hash(file, memo)
    (kept,) = memo.iterdir()
    kept.write_text(kept.read_text().replace(first, "0" * 32))
    assert content_hash(file, memo) == "0" * 32  # as it was noted
    file.write_bytes(b"abcd")
    assert content_hash(file, memo) == content_hash(file) != first
    kept.write_text("no JSON")
    assert content_hash(file, memo) == content_hash(file)


def test_a_root_that_is_not_there(opened: TableSet, tmp_path: Path, shared: Path) -> None:
    from jdrec.features.resolve import resolve
    from tests.engines.conftest import config_of

    with pytest.raises(DataError, match=r"dataset\.root: there is no folder"):
        open_tables(resolve(config_of("jd", "jd_deepfm", shared)), tmp_path / "nowhere", "UTC")


def test_tables_need_not_be_opened_for_their_fingerprint(shared: Path) -> None:
    config = config_of("jd", "jd_tutorial", shared / "jd-recommendation")
    feature_set, root = resolve(config), shared / "jd-recommendation"
    assert fingerprint(feature_set, root) == open_tables(feature_set, root, "UTC").fingerprint()
    with pytest.raises(DataError, match="there is no folder"):
        fingerprint(feature_set, root / "nowhere")

"""Statements as text: cutting scripts, reading parts, adding options."""

from __future__ import annotations

import pytest

from jdrec.engines.openmldb import statements as sql
from jdrec.engines.openmldb.tables import columns_of
from jdrec.features.types import SqlType


@pytest.mark.parametrize(
    ("script", "statements"),
    [
        ("USE a; SHOW JOBS;", ["USE a", "SHOW JOBS"]),
        ("select ';' as x;\nselect \"a;'b\" as y", ["select ';' as x", 'select "a;\'b" as y']),
        ("select 'it\\'s; so' as x;", ["select 'it\\'s; so' as x"]),
        ("select `a;b` from t;", ["select `a;b` from t"]),
        ("-- a; b\nUSE x; /* c; d */ ; # e;", ["-- a; b\nUSE x"]),
        (" \n;;\n", []),
    ],
)
def test_split(script: str, statements: list[str]):
    assert sql.split(script) == statements


@pytest.mark.parametrize(
    ("statement", "options", "expected"),
    [
        ("LOAD DATA INFILE '/a' INTO TABLE t", {"mode": "overwrite"}, "LOAD DATA INFILE '/a' INTO TABLE t OPTIONS(mode='overwrite')"),
        (
            "LOAD DATA INFILE '/a' INTO TABLE t options(format='csv', delimiter=',', mode='append')",
            {"mode": "overwrite", "deep_copy": False},
            "LOAD DATA INFILE '/a' INTO TABLE t options(format='csv', delimiter=',', mode='overwrite', deep_copy=false)",
        ),
        (
            "select options(a) from t INTO OUTFILE 'x'",
            {"format": "parquet"},
            "select options(a) from t INTO OUTFILE 'x' OPTIONS(format='parquet')",
        ),
        ("DEPLOY d\nselect options(a) from t", {"SYNC": "false"}, "DEPLOY d OPTIONS(SYNC='false')\nselect options(a) from t"),
        ("DEPLOY d OPTIONS(RANGE_BIAS='inf')\nselect 1", {"SYNC": "false"}, "DEPLOY d OPTIONS(RANGE_BIAS='inf', SYNC='false')\nselect 1"),
        ("DEPLOY d OPTIONS(sync='true') select 1", {"SYNC": "false"}, "DEPLOY d OPTIONS(SYNC='false') select 1"),
        ("DEPLOY d select 1", {}, "DEPLOY d select 1"),
        ("LOAD DATA INFILE '/a' INTO TABLE t", {"null_value": "it's"}, "LOAD DATA INFILE '/a' INTO TABLE t OPTIONS(null_value='it\\'s')"),
    ],
)
def test_options_are_added_in_their_place(statement: str, options: dict, expected: str):
    assert sql.with_options(statement, options) == expected


def test_options_are_read():
    assert sql.options_of("DEPLOY d OPTIONS(RANGE_BIAS=\"inf\", rows_bias = '10', LONG_WINDOWS='w1:1d,w2') select 1") == {
        "range_bias": "inf",
        "rows_bias": "10",
        "long_windows": "w1:1d,w2",
    }
    assert sql.options_of("DEPLOY d select 1") == {}


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("CREATE TABLE t(a int)", "CREATE TABLE IF NOT EXISTS t(a int)"),
        ("create database `order`", "create database IF NOT EXISTS `order`"),
        ("CREATE TABLE IF NOT EXISTS t(a int)", "CREATE TABLE IF NOT EXISTS t(a int)"),
    ],
)
def test_if_not_exists(statement: str, expected: str):
    assert sql.if_not_exists(statement) == expected


def test_if_not_exists_is_for_databases_and_tables():
    with pytest.raises(ValueError, match="not a statement that creates"):
        sql.if_not_exists("CREATE INDEX i ON t OPTIONS(ts=a)")


def test_parts_are_read():
    load = "LOAD DATA INFILE '/a b/it\\'s' INTO TABLE `order` options(format='csv')"
    assert sql.name_after(load, "into", "table") == "order"
    assert sql.text_after(load, "infile") == "/a b/it's"
    with pytest.raises(ValueError, match="no string after INTO OUTFILE"):
        sql.text_after(load, "into", "outfile")
    with pytest.raises(ValueError, match="no name after DEPLOY"):
        sql.name_after(load, "deploy")


def test_columns_of_an_existing_table():
    text = """CREATE TABLE `t` (
        `id` varchar DEFAULT 'a, b' NOT NULL,
        `n` bigInt,
        `s` smallInt,
        `index` int,
        `shape` geometry,
        INDEX (KEY=(`id`,`n`), TS=`n`, TTL_TYPE=ABSANDLAT, TTL=(20m, 3))
        ) OPTIONS (PARTITIONNUM=8, REPLICANUM=2);"""
    assert columns_of(text) == {
        "id": SqlType.STRING,
        "n": SqlType.BIGINT,
        "s": SqlType.SMALLINT,
        "index": SqlType.INT,
        "shape": "geometry",
    }

"""A durable store of small tables for tests, and processes that insert into it until they are killed.

A process of its own for each kill, forked from one that has everything imported: starting Python fifty times takes a minute.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from jdrec.config import Config, OnlineConfig
from jdrec.features.resolve import resolve
from jdrec.online import open_session
from jdrec.online.session import RequestSession
from tests.engines.conftest import config_with

TABLES = {
    "t1": {"id": "string", "k": "string", "ts": "timestamp", "s": "string"},
    "t2": {"k": "string", "ts": "timestamp", "n": "bigint", "same": "bigint", "f": "float", "b": "bool", "d": "date", "s": "string"},
    "p": {"k": "string", "at": "timestamp", "v": "int"},
}
FEATURES = """
windows: {all: {union: t2, partition_by: k, range: 100d, exclude: [instances, current_row]}, own: {partition_by: k, rows: 3}}
joins: {latest: {last_join: p, on: k, order_by: at}}
features:
  rows: {over: all, expr: count(*)}
  last: {over: all, expr: "max(n)"}
  torn: {over: all, expr: "count_where(*, n != same)"}
  total: {over: all, expr: sum(f)}
  days: {over: all, expr: distinct_count(d)}
  even: {over: all, expr: "count_where(*, b = true)"}
  top: {over: all, expr: "topn_frequency(s, 2)"}
  own: {over: own, expr: count(*)}
  joined: {expr: latest.v}
"""
BATCH = 7  # rows of an insert
START_MS = 1_000_000
LATER_MS = 1_000_000_000  # within all windows of the rows


def config(folder: Path | None, **online: Any) -> Config:
    whole = config_with(TABLES, FEATURES)
    section = {"dir": str(folder) if folder is not None else None, **online}
    return msgspec.structs.replace(whole, online=msgspec.convert(section, OnlineConfig))


def opened(folder: Path | None, **online: Any) -> RequestSession:
    """A store that starts empty."""
    whole = config(folder, preload=[], **online)
    return open_session(whole, resolve(whole), None)


def request(ts: int = LATER_MS, k: str = "a") -> dict[str, Any]:
    return {"id": "1", "k": k, "ts": ts, "s": "x"}


def row(number: int) -> dict[str, Any]:
    import datetime

    day = datetime.date(2016, 1, 1 + number % 5)
    text = None if number % 11 == 0 else f"{number % 3}é"
    return {"k": "a", "ts": START_MS + number, "n": number, "same": number, "f": 0.1, "b": number % 2 == 0, "d": day, "s": text}


def answer(session: RequestSession, ts: int = LATER_MS) -> dict[str, Any]:
    return dict(zip(session.names, session.compute_one(request(ts)), strict=True))


def insert_until_killed(folder: Path, fsync: str) -> None:
    """Inserts batch after batch; says how many rows are acknowledged, each on a line of its own."""
    session = opened(folder, fsync=fsync)
    number = answer(session)["rows"]
    print(f"found {number} {os.getpid()}", flush=True)
    while True:
        session.insert("t2", [row(number + place) for place in range(BATCH)])
        number += BATCH
        print(number, flush=True)


def main() -> None:
    """A process for each line "FSYNC FOLDER" of the input; says when it is gone."""
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "store"):
        pass  # what a process imports and compiles at its first start
    for line in sys.stdin:
        fsync, folder = line.rstrip("\n").split(" ", 1)
        child = os.fork()
        if not child:
            insert_until_killed(Path(folder), fsync)
        os.waitpid(child, 0)
        print("gone", flush=True)


if __name__ == "__main__":
    main()

"""Acknowledged rows survive: killed processes, full disks, damaged files."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from jdrec.config import TtlConfig
from jdrec.errors import OnlineError
from jdrec.online.session import RequestSession
from tests.online.durable import BATCH, START_MS, answer, opened, request, row

ROOT = Path(__file__).parents[2]


def filled(folder: Path, batches: int, **online: Any) -> RequestSession:
    session = opened(folder, **online)
    for number in range(batches):
        session.insert("t2", [row(number * BATCH + place) for place in range(BATCH)])
    return session


def test_what_was_inserted_is_there_after_a_restart(tmp_path: Path) -> None:
    with filled(tmp_path / "store", 5) as session:
        session.insert("t1", [request(5), request(6)])
        session.insert("p", [{"k": "a", "at": 7, "v": 1}, {"k": "a", "at": 9, "v": 2}, {"k": "a", "at": 8, "v": 3}])
        expected = answer(session)
    assert (expected["rows"], expected["last"], expected["own"], expected["joined"]) == (35, 34, 3, 2)
    with opened(tmp_path / "store") as again:
        assert answer(again) == expected
        assert again.recovery is not None
        assert (again.recovery.rows, again.recovery.dropped) == (40, 0)
        again.insert("t2", [row(35)])
        expected = answer(again)
    with opened(tmp_path / "store") as third:
        assert answer(third) == expected


def test_many_small_records_become_large_ones_and_stay_the_same(tmp_path: Path) -> None:
    with opened(tmp_path / "store", fsync="checkpoint") as session:
        for number in range(600):
            session.insert("t2", [row(number)])
        expected = [answer(session, START_MS + moment) for moment in (0, 17, 300, 599)]
    with opened(tmp_path / "store") as again:
        assert [answer(again, START_MS + moment) for moment in (0, 17, 300, 599)] == expected
    with closing(sqlite3.connect(tmp_path / "store" / "store.sqlite")) as database:
        assert database.execute("select count(*), sum(row_count) from records").fetchone() == (1, 600)


def test_a_folder_belongs_to_one_process(tmp_path: Path) -> None:
    with opened(tmp_path / "store"), pytest.raises(OnlineError, match="is in use by another process"):
        opened(tmp_path / "store")


def test_other_columns_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(tmp_path / "store").close()
    from tests.online import durable

    monkeypatch.setitem(durable.TABLES, "t2", {**durable.TABLES["t2"], "n": "int"})
    with pytest.raises(OnlineError, match=r"holds the table 't2' with other columns: k string, ts timestamp, n bigint"):
        opened(tmp_path / "store")


# --- kill -9 -----------------------------------------------------------------------------------------------------------------


@contextmanager
def inserting_processes() -> Iterator[subprocess.Popen[str]]:
    """Each line "FSYNC FOLDER" that is written to it starts a process that inserts."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.online.durable"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def kill_during_inserts(processes: subprocess.Popen[str], folder: Path, random: Random, fsync: str) -> tuple[int, int]:
    """How many rows a process found at its start, and how many it had acknowledged when it was killed."""
    assert processes.stdin is not None and processes.stdout is not None
    print(fsync, folder, file=processes.stdin, flush=True)
    _, found, pid = processes.stdout.readline().split()
    acknowledged = int(found)
    deadline = time.perf_counter() + random.uniform(0.02, 0.3)
    while time.perf_counter() < deadline:
        acknowledged = int(processes.stdout.readline())
    os.kill(int(pid), signal.SIGKILL)
    while (line := processes.stdout.readline().strip()) != "gone":
        acknowledged = int(line)
    return int(found), acknowledged


def check_kills(folder: Path, kills: int) -> None:
    random, acknowledged = Random(7), 0
    with inserting_processes() as processes:
        for number in range(kills):
            found, said = kill_during_inserts(processes, folder, random, ("commit", "checkpoint")[number % 2])
            assert found >= acknowledged, f"kill {number}: acknowledged rows are lost"
            assert found % BATCH == 0, f"kill {number}: a part of an insert is there"
            acknowledged = said
    with opened(folder) as session:
        values = answer(session)
        assert values["rows"] >= acknowledged > 0
        assert values["rows"] % BATCH == 0
        assert (values["last"], values["torn"]) == (values["rows"] - 1, 0)
        for moment in (0, values["rows"] // 2, values["rows"] - 1):
            seen = answer(session, START_MS + moment)
            assert (seen["rows"], seen["last"], seen["even"]) == (moment + 1, moment, moment // 2 + 1)


def test_killed_three_times_during_inserts(tmp_path: Path) -> None:
    check_kills(tmp_path / "store", 3)


@pytest.mark.slow
def test_killed_fifty_times_during_inserts(tmp_path: Path) -> None:
    check_kills(tmp_path / "store", 50)


# --- full --------------------------------------------------------------------------------------------------------------------


def test_a_full_disk_refuses_whole_inserts(tmp_path: Path) -> None:
    session = filled(tmp_path / "store", 3)
    size = max(file.stat().st_size for file in (tmp_path / "store").iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    accepted = 3 * BATCH
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100_000, hard))
    try:
        with pytest.raises(OnlineError, match=r"store\.sqlite could not be extended by 7,000 rows of 't2': .*\. Nothing was changed\."):
            for _ in range(10):
                session.insert("t2", [row(accepted + place) for place in range(1000 * BATCH)])
                accepted += 1000 * BATCH
        assert answer(session)["rows"] == accepted
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    session.insert("t2", [row(accepted)])
    assert answer(session)["rows"] == accepted + 1
    session.close()
    with opened(tmp_path / "store") as again:
        assert (answer(again)["rows"], answer(again)["last"], answer(again)["torn"]) == (accepted + 1, accepted, 0)


def test_full_memory_refuses_whole_inserts(tmp_path: Path) -> None:
    session = opened(tmp_path / "store", max_memory_mb=1, fsync="checkpoint")
    count = 0
    with pytest.raises(OnlineError, match=r"online\.max_memory_mb: 700 rows of 't2' were not stored") as raised:
        for _ in range(1000):
            session.insert("t2", [row(count + place) for place in range(100 * BATCH)])
            count += 100 * BATCH
    assert raised.value.kind == "memory"
    assert count > 1000
    assert answer(session)["rows"] == count
    assert session.memory_bytes <= 1 << 20
    session.close()


# --- damage ------------------------------------------------------------------------------------------------------------------


def crashed(folder: Path, batches: int) -> Path:
    """A store as a killed process leaves it; its log."""
    live = filled(folder / "live", batches)
    copy = folder / "store"
    copy.mkdir()
    for file in (folder / "live").iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    live.close()
    return copy / "store.sqlite-wal"


def test_a_torn_tail_costs_what_was_not_whole_and_no_more(tmp_path: Path) -> None:
    log = crashed(tmp_path, 6)
    log.write_bytes(log.read_bytes()[:-2000])  # a part of the last commit
    with opened(tmp_path / "store") as session:
        assert (answer(session)["rows"], answer(session)["last"]) == (5 * BATCH, 5 * BATCH - 1)


def test_damage_before_the_end_of_the_log_is_no_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = crashed(tmp_path, 6)
    content = bytearray(log.read_bytes())
    content[-4 * 4120 + 100] ^= 1
    log.write_bytes(content)
    with pytest.raises(OnlineError, match=r"online\.dir: .* is damaged: its log has a damaged record before the last \d inserts") as raised:
        opened(tmp_path / "store")
    assert raised.value.kind == "damage"
    with opened(tmp_path / "store", drop_damaged=True) as session:
        assert session.recovery is not None
        assert session.recovery.dropped >= 2
        assert 0 < answer(session)["rows"] < 6 * BATCH
    assert "inserts of the log are damaged and given up" in caplog.text


def test_a_changed_record_is_found(tmp_path: Path) -> None:
    filled(tmp_path / "store", 2).close()
    with closing(sqlite3.connect(tmp_path / "store" / "store.sqlite")) as database:
        (data,) = database.execute("select data from records where seq = 2").fetchone()
        database.execute("update records set data = ? where seq = 2", (data[:-1] + bytes([data[-1] ^ 1]),))
        database.commit()
    with pytest.raises(OnlineError, match=r"record 2 \(7 rows of 't2'\) does not have its checksum"):
        opened(tmp_path / "store")


def test_something_else_than_a_database_is_found(tmp_path: Path) -> None:
    filled(tmp_path / "store", 2).close()
    (tmp_path / "store" / "store.sqlite").write_bytes(b"something else" * 1000)
    with pytest.raises(OnlineError, match="is damaged"):
        opened(tmp_path / "store")


# --- time to live ------------------------------------------------------------------------------------------------------------


def test_replayed_old_rows_are_gone_with_an_age_and_stay_without(tmp_path: Path) -> None:
    with filled(tmp_path / "kept", 2) as session:
        assert answer(session)["rows"] == 2 * BATCH
    with filled(tmp_path / "aged", 2, ttl={"t2": TtlConfig(type="absolute", minutes=60)}) as session:
        assert answer(session)["rows"] == 0


def test_a_restart_removes_expired_records_from_the_disk(tmp_path: Path) -> None:
    ttl = {"t2": TtlConfig(type="absolute", minutes=1)}
    with opened(tmp_path / "store", ttl=ttl) as session:
        session._now_ms = lambda: START_MS
        session.insert("t2", [row(0)])
        session._now_ms = lambda: int(time.time() * 1000)
        session.insert("t2", [{**row(1), "ts": session._now_ms()}])
    with opened(tmp_path / "store", ttl=ttl) as session:
        assert (session.recovery.rows if session.recovery else None, answer(session, int(time.time() * 1000) + 5000)["rows"]) == (1, 1)

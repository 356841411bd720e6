"""The stage cache: one complete entry or none, whatever happens to the process that makes it."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import pytest

from jdrec.cache import RECORD, Cache, code_version, content_key, publish


def _count_and_write(out: Path) -> None:
    with (out.parent.parent / "calls").open("a") as calls:
        calls.write("x")
    (out / "result.txt").write_text("42")


def test_equal_inputs_share_an_entry_and_compute_once(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    first = cache.get_or_make("extract", content_key({"a": 1, "b": [2]}), _count_and_write)
    second = cache.get_or_make("extract", content_key({"b": [2], "a": 1}), _count_and_write)
    assert first == (tmp_path / "extract" / content_key({"a": 1, "b": [2]}), False)
    assert second == (first[0], True)
    assert (tmp_path / "calls").read_text() == "x"


def test_the_order_of_a_list_is_part_of_the_key() -> None:
    assert content_key({"features": ["a", "b"]}) != content_key({"features": ["b", "a"]})


def test_a_failed_make_leaves_nothing(tmp_path: Path) -> None:
    def fail(out: Path) -> None:
        (out / "half").write_text("half")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Cache(tmp_path).get_or_make("train", "k", fail)
    assert [item.name for item in (tmp_path / "train").iterdir()] == [".locks"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    leftover = tmp_path / "train" / ".k.abc"
    leftover.mkdir(parents=True)
    Cache(tmp_path).get_or_make("train", "k", _count_and_write)
    assert not leftover.exists()


def test_a_disabled_cache_computes_anew_and_keeps_the_new_result(tmp_path: Path) -> None:
    for _ in range(2):
        entry, reused = Cache(tmp_path, enabled=False).get_or_make("extract", "k", _count_and_write)
        assert not reused and (entry / "result.txt").read_text() == "42"
    assert (tmp_path / "calls").read_text() == "xx"


def _make_in_process(root: Path) -> None:
    Cache(root).get_or_make("extract", "k", _count_and_write)


def test_two_processes_compute_an_entry_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_make_in_process, args=(tmp_path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert (tmp_path / "calls").read_text() == "x"


def test_publish_replaces_what_was_there_and_survives_pruning(tmp_path: Path) -> None:
    entry, run = tmp_path / "entry", tmp_path / "run"
    (entry / "samples").mkdir(parents=True)
    (entry / "samples" / "train.parquet").write_text("new")
    (entry / "metrics.json").write_text("{}")
    (run / "samples").mkdir(parents=True)
    (run / "samples" / "stale.parquet").write_text("old")
    publish(entry, run)
    (entry / "samples" / "train.parquet").unlink()
    assert sorted(str(item.relative_to(run)) for item in run.rglob("*")) == ["metrics.json", "samples", "samples/train.parquet"]
    assert (run / "samples" / "train.parquet").read_text() == "new"


def test_publishing_twice_leaves_the_same_files(tmp_path: Path) -> None:
    entry, run = tmp_path / "entry", tmp_path / "run"
    entry.mkdir()
    (entry / "metrics.json").write_text("{}")
    (entry / "features.parquet").write_bytes(bytes(1 << 20))  # large enough to be linked
    for _ in range(2):
        publish(entry, run)
    assert sorted(item.name for item in run.iterdir()) == ["features.parquet", "metrics.json"]
    assert (run / "features.parquet").samefile(entry / "features.parquet")


def test_code_version_tells_rooms_apart() -> None:
    assert code_version("features") == code_version("features")
    assert code_version("features") != code_version("training")


def _recorded(out: Path) -> None:
    (out / "result.txt").write_text("42")
    (out / RECORD).write_text(json.dumps({"summary": "one number", "inputs": {"a": 1}}))


def test_entries_come_least_recently_used_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for key in ("old", "new", "used"):
        folder, _ = cache.get_or_make("extract", key, _recorded)
        os.utime(folder, (1_000_000, 1_000_000 + (key == "new")))
    cache.get_or_make("extract", "used", _recorded)
    found = cache.entries()
    assert [entry.key for entry in found] == ["old", "new", "used"]
    assert (found[0].stage, found[0].summary, found[0].inputs, found[0].used) == ("extract", "one number", {"a": 1}, 1_000_000)
    assert found[0].size == 2 + len('{"summary": "one number", "inputs": {"a": 1}}')


def test_a_removed_entry_is_made_anew(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.get_or_make("extract", "k", _recorded)
    assert cache.remove(cache.entries()[0])
    assert cache.entries() == [] and [item.name for item in (tmp_path / "extract").iterdir()] == [".locks"]
    assert cache.get_or_make("extract", "k", _recorded)[1] is False


def test_what_is_being_made_is_not_removed(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    kept = []

    def make(out: Path) -> None:
        _recorded(out)
        kept.append(cache.remove_leftovers())

    cache.get_or_make("extract", "k", make)
    (tmp_path / "extract" / ".other.abc").mkdir()
    assert kept == [0]
    assert cache.remove_leftovers() == 1 and len(cache.entries()) == 1

"""The bench suite: it runs every script, and its table says what became better."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCH = Path(__file__).parents[1] / "bench"


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    spec = importlib.util.spec_from_file_location("suite", BENCH / "suite.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "suite", module)
    spec.loader.exec_module(module)
    return module


def test_every_script_is_run_and_takes_json(suite: ModuleType) -> None:
    scripts = {file.name for file in BENCH.glob("*.py")} - suite.PARTS
    assert {bench.script for bench in suite.SUITE} == scripts
    for script in scripts:
        text = (BENCH / script).read_text()
        assert "parser(" in text and "argparse.ArgumentParser(" not in text and "report(" in text, script


def test_what_needs_something_that_is_not_here_is_skipped(suite: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    bench = suite.Bench("extract", "extract.py", "", "", ("tables",))
    done = suite.run(bench, "", tmp_path / "nowhere", tmp_path)
    assert done == {"status": "skipped", "why": f"the JD tables are not in {tmp_path / 'nowhere'} (--tables DIR)"}
    assert "extract: skipped, the JD tables are not in" in capsys.readouterr().out


def test_a_script_that_fails_is_told_with_its_last_line(suite: ModuleType, tmp_path: Path) -> None:
    done = suite.run(suite.Bench("ranking", "ranking.py", "", ""), "--rows none", tmp_path, tmp_path)
    assert done["status"] == "failed"
    assert done["why"].startswith("exit code 2: ranking.py: error: argument --rows: invalid int value: 'none'")


def test_the_result_is_written_where_json_says(suite: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys, "argv", ["suite.py", "--only", "ranking", "--out", str(tmp_path / "out"), "--json", str(tmp_path / "there" / "x.json")]
    )
    monkeypatch.setattr(suite, "SUITE", (suite.Bench("ranking", "ranking.py", "--rows none", ""),))
    assert suite.main() == 1
    written = json.loads((tmp_path / "there" / "x.json").read_text())
    assert written["machine"] and written == json.loads((tmp_path / "out" / "quick.json").read_text())


def result(**figures: Any) -> dict[str, Any]:
    return {"time": "2026-01-01T00:00:00+00:00", "benches": {"reader": {"status": "ok", "seconds": 3.0, "figures": figures}}}


def test_compares_with_the_last_result(suite: ModuleType) -> None:
    old = result(**{"rows": 1000, "reading, rows/s": 100.0, "stage, s": 2.0, "peak memory MiB": 10.0, "fresh": "x"})
    new = result(**{"rows": 1000, "reading, rows/s": 150.0, "stage, s": 3.0, "peak memory MiB": 10.5, "more": 1})
    lines = suite.table(old, new).splitlines()
    assert lines[1] == "reader: ok"
    assert [line.split() for line in lines[2:]] == [
        ["rows", "1,000", "1,000", "1.00"],
        ["reading,", "rows/s", "150", "100", "1.50", "better"],
        ["stage,", "s", "3", "2", "1.50", "WORSE"],
        ["peak", "memory", "MiB", "10.5", "10", "1.05"],
        ["more", "1"],
    ]
    assert "100" not in suite.table(None, new)

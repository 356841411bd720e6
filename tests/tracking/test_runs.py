"""Earlier runs, found and ordered as they lie on the disk; task=runs and task=diff over them."""

from __future__ import annotations

import csv
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jdrec.errors import StageError
from jdrec.tracking import diff
from jdrec.tracking.runs import find_runs, order, read_run, select


def a_run(folder: Path, *, auc: float | None = None, logloss: float = 0.3, status: str = "finished", pid: int = 0, **config: Any) -> Path:
    folder.mkdir(parents=True)
    record = {
        "task": "export",
        "status": status,
        "started": f"2026-01-0{len(list(folder.parent.iterdir()))}T00:00:00+00:00",
        "seconds": 2.5,
        "process": {"id": pid, "host": platform.node()},
        "overrides": [f"{key}={value}" for key, value in config.items()],
        "stages": [],
        "environment": {"packages": {"numpy": "1.26.4"}},
        "config": {"seed": 1, "task": "export", "model": {"name": "deepfm", "dnn": [8]}, "trainer": {"learning_rate": 1e-3}} | config,
    }
    (folder / "run.json").write_text(json.dumps(record))
    if auc is not None:
        (folder / "metrics.json").write_text(json.dumps({"valid": {"auc": auc, "logloss": logloss}, "best_possible_auc": None}))
    return folder


def names(runs: list[Any]) -> list[str]:
    return [run.folder.name for run in runs]


def test_runs_are_found_at_any_depth_and_ordered_by_a_metric(tmp_path: Path) -> None:
    a_run(tmp_path / "day" / "low", auc=0.6, logloss=0.2)
    a_run(tmp_path / "high", auc=0.7, logloss=0.4)
    a_run(tmp_path / "none")
    (tmp_path / ".hidden").mkdir()
    runs = find_runs([tmp_path])
    assert names(order(runs, "valid.auc")) == ["high", "low", "none"]
    assert names(order(runs, "valid.logloss")) == ["low", "high", "none"]
    assert names(order(runs, "valid.auc", ascending=True)) == ["low", "high", "none"]
    assert runs[0].metrics == {"valid.auc": 0.6, "valid.logloss": 0.2}


def test_a_metric_that_no_run_has_is_named_with_the_nearest(tmp_path: Path) -> None:
    a_run(tmp_path / "one", auc=0.6)
    with pytest.raises(StageError, match=r"Did you mean 'valid\.auc'"):
        order(find_runs([tmp_path]), "valid.auk")


@pytest.mark.parametrize(
    ("where", "chosen"),
    [
        (["seed=2"], ["two"]),
        (["model.*=deep*"], ["one", "two"]),
        (["seed=*", "seed=1"], ["one"]),
        (["trainer.learning_rate=0.001"], ["one", "two"]),
        (["trainer.*=1e-3"], ["one", "two"]),
        (["trainer.*=1e-4"], []),
        (["seed=3"], []),
    ],
)
def test_runs_are_chosen_by_their_configuration(where: list[str], chosen: list[str], tmp_path: Path) -> None:
    a_run(tmp_path / "one", seed=1)
    a_run(tmp_path / "two", seed=2)
    assert names(select(find_runs([tmp_path]), where)) == chosen


def test_a_key_that_no_run_has_is_an_error(tmp_path: Path) -> None:
    a_run(tmp_path / "one")
    with pytest.raises(StageError, match=r"no run has a key 'sed'.*Did you mean 'seed'"):
        select(find_runs([tmp_path]), ["sed=1"])
    with pytest.raises(StageError, match="not of the form key=value"):
        select(find_runs([tmp_path]), ["seed"])


def test_a_run_whose_process_is_gone_was_killed(tmp_path: Path) -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    assert read_run(a_run(tmp_path / "gone", status="running", pid=done.pid)).status == "killed"
    assert read_run(a_run(tmp_path / "here", status="running", pid=os.getpid())).status == "running"


def test_what_two_runs_do_not_share(tmp_path: Path) -> None:
    left, right = (read_run(a_run(tmp_path / name, seed=seed, auc=0.5 + seed / 10)) for name, seed in (("a", 1), ("b", 2)))
    assert diff.config_differences(left, right) == [("seed", 1, 2)]
    assert diff.surroundings(left, right) == []


def jdrec(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "jdrec", *arguments], cwd=cwd, capture_output=True, text=True)


def test_the_tasks_print_tables_and_leave_no_folder(tmp_path: Path) -> None:
    a_run(tmp_path / "outputs" / "a", auc=0.61, seed=1)
    a_run(tmp_path / "outputs" / "b", auc=0.72, seed=2)
    table = jdrec("task=runs", "leaderboard.csv=runs.csv", cwd=tmp_path)
    assert table.returncode == 0, table.stderr
    assert table.stdout.index("outputs/b") < table.stdout.index("outputs/a")
    with (tmp_path / "runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["run"], row["valid.auc"], row["seed"]) for row in rows] == [("outputs/b", "0.72", "2"), ("outputs/a", "0.61", "1")]
    found = jdrec("task=diff", "runs=[outputs/a,outputs/b]", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert "+0.1100" in found.stdout and "seed" in found.stdout
    assert sorted(item.name for item in (tmp_path / "outputs").iterdir() if item.name != "runs") == ["a", "b"]
    assert not list((tmp_path / "outputs" / "runs").rglob("jdrec.log"))


def test_one_run_cannot_be_compared(tmp_path: Path) -> None:
    done = jdrec("task=diff", "runs=[outputs/a]", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        1,
        "error: runs: task=diff compares two runs, not 1. Write runs=[FOLDER,FOLDER].\n",
    )

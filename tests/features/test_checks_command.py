"""docs/checks.md through the command line: task=check stops with exit code 1 and the message, or warns and goes on.

All examples run in this process, a few in one of their own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.features.documented import Example, changed, examples, write_tables

DEFINITION, DATA = examples(data=False), examples(data=True)
ERRORS = [example for example in (*DEFINITION, *DATA) if example.kind == "error"]
WARNINGS = [example for example in (*DEFINITION, *DATA) if example.kind == "warning"]
NOT_UNIQUE = DATA[0]


def configure(changes: dict[str, Any], folder: Path, *, tables: bool) -> list[str]:
    """Writes the definition as a user's own configuration; the arguments that check it.

    Args:
        tables: write the tables, too.
    """
    settings = changed(changes)
    settings["dataset"]["root"] = str(folder / "data")
    defaults = [f"override /{group}: page" for group in ("dataset", "features")]
    rest = {key: value for key, value in settings.items() if key not in ("dataset", "features")}
    for group, content in (
        ("dataset", settings["dataset"]),
        ("features", settings["features"]),
        ("experiment", {"defaults": [dict([entry.split(": ")]) for entry in defaults], **rest}),
    ):
        (folder / "mine" / group).mkdir(parents=True)
        head = "# @package _global_\n" if group == "experiment" else ""
        (folder / "mine" / group / "page.yaml").write_text(head + yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    if tables:
        (folder / "data").mkdir()
        write_tables(folder / "data")
    return ["--config-dir", "mine", "+experiment=page", "task=check"]


def main(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """jdrec's entry point with these arguments; its exit code."""
    from hydra.core.global_hydra import GlobalHydra

    from jdrec.__main__ import main as jdrec

    monkeypatch.setattr(sys, "argv", ["jdrec", *arguments])
    GlobalHydra.instance().clear()
    try:
        jdrec()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("example", ERRORS, ids=lambda example: example.check)
def test_an_error_is_the_message_and_exit_code_1(
    example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(configure(example.changes, tmp_path, tables=example in DATA), monkeypatch) == 1
    assert capfd.readouterr().err.splitlines()[-1] == f"error: {example.message}"


@pytest.mark.compiler
@pytest.mark.parametrize("example", WARNINGS, ids=lambda example: example.check)
def test_a_warning_is_shown_and_does_not_stop(
    example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = configure(example.changes, tmp_path, tables=example in DATA)
    if example in DATA:  # whose first example is an error in each of them
        visits = tmp_path / "data" / "visit.csv"
        visits.write_text(visits.read_text().replace("\nb,u1", "\nc,u1"))
    assert main(arguments, monkeypatch) == 0
    shown = capfd.readouterr()
    assert f"warning: {example.message}" in shown.out + shown.err


def command(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "jdrec", *arguments], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("example", [ERRORS[0], ERRORS[-1]], ids=lambda example: example.check)
def test_a_process_of_its_own(example: Example, tmp_path: Path) -> None:
    done = command(configure(example.changes, tmp_path, tables=example in DATA), tmp_path)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, f"error: {example.message}")
    assert "Traceback" not in done.stdout + done.stderr


def test_a_run_checks_the_tables_before_it_computes(tmp_path: Path) -> None:
    arguments = configure(NOT_UNIQUE.changes, tmp_path, tables=True)
    done = command([*arguments[:-1], "task=extract", "hydra.run.dir=out", "cache.dir=kept"], tmp_path)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, f"error: {NOT_UNIQUE.message}")
    assert not list(tmp_path.rglob("features.parquet"))


def test_a_run_says_how_many_warnings_there_are(tmp_path: Path) -> None:
    ties = next(example for example in DATA if example.check == "LAST JOIN ties")
    arguments = configure(ties.changes, tmp_path, tables=True)
    visits = tmp_path / "data" / "visit.csv"
    visits.write_text(visits.read_text().replace("\nb,u1", "\nc,u1"))
    done = command([*arguments[:-1], "task=extract", "hydra.run.dir=out", "cache.dir=kept"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 warning about the tables (task=check shows them)" in done.stdout + done.stderr


@pytest.mark.parametrize("example", [DEFINITION[0]], ids=["unknown key"])
def test_a_run_checks_the_definition_first(example: Example, tmp_path: Path) -> None:
    arguments = configure(example.changes, tmp_path, tables=False)  # without any table
    done = command([*arguments[:-1], "task=extract"], tmp_path)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, f"error: {example.message}")


def test_without_openmldbs_compiler_all_else_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    native = tmp_path / "without" / "openmldb" / "native"
    native.mkdir(parents=True)
    for name, code in (("../__init__.py", ""), ("__init__.py", ""), ("sql_router_sdk.py", "raise ImportError('no such wheel here')")):
        (native / name).write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "without"))
    assert main(configure({}, tmp_path, tables=False), monkeypatch) == 0
    shown = capfd.readouterr()
    assert "warning: OpenMLDB's compiler was not asked: OpenMLDB's compiler (no such wheel here) is not installed." in shown.out + shown.err

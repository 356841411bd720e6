"""task=doctor: every component is tried, and what is missing comes with the command that brings it."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from jdrec import doctor
from jdrec.config import Config, EngineConfig
from jdrec.features.resolve import resolve
from tests.composing import composed


@pytest.fixture(scope="module")
def config() -> Config:
    return composed("+experiment=jd_tutorial")


def test_what_is_missing_broken_or_off_is_told_apart(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENMLDB_ZK", "OPENMLDB_HOST"):
        monkeypatch.delenv(name, raising=False)
    elsewhere = msgspec.structs.replace(config, engine=EngineConfig(jars=str(tmp_path), java_home=str(tmp_path)))
    found = {finding.component: finding for finding in doctor.examine(elsewhere, resolve(config))}
    assert found["Python"].detail.startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert found["embedded engine"].state == "ok"
    assert found["Spark: OpenMLDB's jars"].state == "broken"
    assert found["Spark: OpenMLDB's jars"].advice == f"Fetch it (0.56 GB) with: python -m jdrec.engines.spark.jars {tmp_path}"
    assert found["Spark: Java"].detail == f"there is no Java in {tmp_path}."
    assert found["OpenMLDB cluster"].state == "off" and "OPENMLDB_ZK" in found["OpenMLDB cluster"].detail


def test_a_cluster_that_does_not_answer_is_not_named(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("OPENMLDB_ZK", address)
        monkeypatch.setenv("OPENMLDB_ZK_PATH", "/openmldb")
        finding = doctor._find("OpenMLDB cluster", lambda: doctor._cluster(config))
    assert finding.state == "broken" and address not in str(finding)


def test_a_library_that_ends_its_process_is_broken_and_no_more() -> None:
    finding = doctor._find("x", lambda: doctor._child("import os\nos.abort()"))
    assert (finding.state, finding.detail) == ("broken", "it ended with code -6.")


@pytest.mark.parametrize(
    ("probe", "extra"),
    [(lambda: doctor._package("Optuna", "sweep", "no_such_package"), "sweep"), (doctor._mlflow, "mlflow"), (doctor._pages, "report")],
)
def test_an_extra_that_is_missing_comes_with_its_command(probe: Callable[[], str], extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    finding = doctor._find("x", probe)
    assert (finding.state, finding.advice) == ("missing", f"Install it with: pip install 'jdrec[{extra}]'")


def test_a_package_that_is_there_is_imported() -> None:
    assert doctor._find("x", lambda: doctor._package("NumPy", "x", "numpy")).detail.startswith("numpy ")


def test_slurm_is_off_where_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert doctor._find("Slurm", doctor._slurm).state == "off"


def test_the_task_prints_a_table(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "jdrec", "task=doctor"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Triton" in done.stdout and "Traceback" not in done.stdout + done.stderr


def test_brackets_are_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    finding = doctor.Finding("PyTorch", "missing", "not installed", "pip install 'jdrec[torch]'")
    monkeypatch.setattr(doctor, "examine", lambda config, feature_set: [finding])
    doctor.show(None, None)  # type: ignore[arg-type]
    assert "pip install 'jdrec[torch]'" in capsys.readouterr().out

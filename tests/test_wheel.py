"""The wheel is whole: installed alone in a clean environment it renders an experiment from an empty folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPO


def _run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_an_installed_wheel_renders_from_an_empty_folder(tmp_path: Path) -> None:
    source, environment, empty = tmp_path / "source", tmp_path / "venv", tmp_path / "empty"
    _run("git", "clone", "-q", REPO, source, cwd=tmp_path)
    _run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path / "dist", source, cwd=tmp_path)
    (wheel,) = (tmp_path / "dist").glob("jdrec-*.whl")
    _run(sys.executable, "-m", "venv", environment, cwd=tmp_path)
    python = environment / "bin" / "python"
    _run(python, "-m", "pip", "install", "-q", wheel, cwd=tmp_path)
    installed = _run(python, "-m", "pip", "list", "--format=freeze", cwd=tmp_path).lower()
    for heavy in ("torch==", "oneflow==", "pyspark==", "nvidia-pytriton==", "tritonclient=="):
        assert heavy not in installed
    empty.mkdir()
    _run(python, "-m", "jdrec", "+experiment=jd_tutorial", "task=render", "hydra.run.dir=out", cwd=empty)
    assert sorted(path.name for path in (empty / "out" / "sql").iterdir()) == [
        "create_tables.sql",
        "deploy.sql",
        "load_offline_data.sql",
        "load_online_data.sql",
        "select_features.sql",
    ]

"""The how-tos are true: what they say to write is written into a copy of the sources, and what they say to run is run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.conftest import REPO


def write_as_told(document: str, root: Path) -> None:
    """Every block that begins with "# FILE", or with "# FILE, after TEXT": the rest is the file, or goes behind the first such text in it."""
    text = (REPO / "docs" / document).read_text(encoding="utf-8")
    for head, body in re.findall(r"^```(?:python|yaml|text)\n# (\S+/[^\n]*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        name, _, after = head.partition(", after ")
        file = root / name
        if not after:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(body, encoding="utf-8")
            continue
        before, found, rest = file.read_text(encoding="utf-8").partition(after)
        assert found, f"{name} has no {after!r}"
        file.write_text(f"{before}{found}{body if after[-1] in '({' else body.rstrip()}{rest}", encoding="utf-8")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for folder in ("jdrec", "hydra_plugins", "conf", "templates"):
        shutil.copytree(REPO / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def jdrec(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "jdrec", *arguments], cwd=cwd, env=os.environ | {"PYTHONPATH": str(cwd)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done


SMALL = "dataset.generate={users:200,products:40,actions:4000,requests:1500}"


@pytest.mark.slow
def test_a_function_of_ones_own(copy: Path) -> None:
    write_as_told("own-function.md", copy)
    jdrec("--config-dir", "mine", "+experiment=roots", SMALL, "dataset.root=tables", "task=extract", "hydra.run.dir=out", cwd=copy)
    table = pq.read_table(copy / "out" / "features.parquet")
    bad, root = table["bad"].to_pylist(), table["bad_root"].to_pylist()
    assert len({value for value in bad if value is not None}) > 5
    assert [None if value is None else pytest.approx(value ** (1 / 3), rel=1e-6) for value in bad] == root
    assert "cbrt(" in (copy / "out" / "sql" / "select_features.sql").read_text()


@pytest.mark.slow
@pytest.mark.torch
def test_a_model_of_ones_own_trains_and_is_exported(copy: Path) -> None:
    write_as_told("own-model.md", copy)
    few = ("trainer.framework=torch", "trainer.epochs=3", "model.dnn=[8]", "evaluate.bootstrap=0", "task=export", "hydra.run.dir=out")
    jdrec("+experiment=jd_demo", SMALL, "dataset.root=tables", "model.name=nfm", *few, cwd=copy)
    metrics = json.loads((copy / "out" / "metrics.json").read_text())  # by NumPy, as it is served
    history = json.loads((copy / "out" / "checkpoints" / "training.json").read_text())["history"]
    assert metrics["valid"]["auc"] == pytest.approx(max(history, key=lambda e: e["best"] * e["step"])["auc"], abs=1e-6)
    assert metrics["train"]["auc"] > 0.6
    assert list((copy / "out" / "triton").rglob("jdrec/models/nfm.py"))

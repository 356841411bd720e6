"""Runs that another version of jdrec wrote: read where that is harmless, one message where it is not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jdrec import api
from jdrec.errors import StageError
from jdrec.sweep.done import finished_before
from jdrec.tracking.earlier import earlier_config
from tests.composing import composed


def written(folder: Path, change: dict[str, Any], drop: str | None = None) -> Path:
    """A run's record whose configuration differs from today's in some keys, given by dotted path."""
    config = msgspec.to_builtins(composed("+experiment=jd_demo"))
    config["dataset"]["root"] = str(Path(config["dataset"]["root"]).resolve())
    for path, value in change.items():
        *parents, name = path.split(".")
        place = config
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = value
    if drop:
        del config[drop]
    folder.mkdir()
    record = {"task": "report", "status": "finished", "config": config, "stages": [], "environment": {"packages": {"jdrec": "0.0.7"}}}
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "metrics.json").write_text('{"valid": {"auc": 0.75}}')
    return folder


def test_keys_that_came_later_have_their_defaults(tmp_path: Path) -> None:
    folder = written(tmp_path / "run", {}, drop="tracking")
    assert earlier_config(folder).tracking.mlflow.enabled is False
    assert finished_before(composed("+experiment=jd_demo"), folder) == 0.75  # and such a job of a sweep is done


def test_keys_that_are_no_more_and_do_not_matter_are_left_out(tmp_path: Path) -> None:
    folder = written(tmp_path / "run", {"serving.old_key": 1, "serving.batching.old": {"a": 1}, "trainer.old_speed_up": True, "gone.by": 1})
    expected = msgspec.to_builtins(composed("+experiment=jd_demo"))
    found = msgspec.to_builtins(earlier_config(folder))
    assert {name: value for name, value in found.items() if name != "dataset"} == {n: v for n, v in expected.items() if n != "dataset"}
    assert api.open_run(folder).config.serving.port == 8887
    assert finished_before(composed("+experiment=jd_demo"), folder) is None  # a sweep does not take such a job for its own


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"features.features.sku.old": 1}, "features.features.sku.old: unknown key 'old'."),
        ({"preprocess.old_split": "x"}, "preprocess.old_split: unknown key 'old_split'."),
        ({"serving.port": "eighty"}, "serving.port: 'eighty' does not fit"),
    ],
)
def test_what_may_change_the_model_is_one_message(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    folder = written(tmp_path / "run", change)
    with pytest.raises(StageError) as caught:
        earlier_config(folder)
    message = str(caught.value)
    assert message.startswith(
        f"run: the configuration in {folder / 'run.json'} is not one of this version of jdrec (it was written by 0.0.7)"
    )
    assert said in message and message.endswith("Run its experiment again, or use the version that wrote it.")


def test_the_command_line_says_so_too(tmp_path: Path) -> None:
    """And a harmless key lets it come to what it really lacks: the samples."""
    written(tmp_path / "bad", {"model.old": 1}), written(tmp_path / "good", {"serving.old": 1})
    for folder, said in (("bad", "model.old: unknown key 'old'"), ("good", "good is not a finished run: samples/encoder.json is missing.")):
        done = subprocess.run(
            [sys.executable, "-m", "jdrec", "task=evaluate", f"run={folder}"], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr

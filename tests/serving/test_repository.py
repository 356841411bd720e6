"""The exported model repository: its files, and that its code needs nothing of jdrec's own surroundings."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from jdrec.errors import ServingError, StageError
from jdrec.serving import bundle
from jdrec.serving.repository import container_command, require_same_features, version_folder
from jdrec.training.scoring import Scorer
from tests.serving.small_definitions import every_type, with_fields
from tests.serving.small_models import configuration, export_run, random_ids, run_folder


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_python_model(tmp_path):
    feature_set, config = with_fields(1, 2), configuration(model="purchase", version=3)
    run = run_folder(tmp_path, feature_set)
    model = export_run(run, feature_set, config)
    assert model == tmp_path / "triton" / "purchase"
    assert {name for name in files(model) if "/code/" not in name} == {
        "config.pbtxt",
        "3/model.py",
        "3/requirements.txt",
        "3/model/checkpoint.json",
        "3/model/model.safetensors",
        "3/encoder.json",
        "3/features.json",
        "3/data_info.json",
        "3/statistics.json",
    }
    assert {"3/code/jdrec/__init__.py", "3/code/jdrec/training/scoring.py"} <= files(model)
    assert version_folder(run, config) == model / "3"
    assert os.listdir(tmp_path / "triton") == ["purchase"]  # nothing half-written beside it


def test_exporting_again_replaces(tmp_path):
    feature_set = with_fields(1, 2)
    run = run_folder(tmp_path, feature_set)
    model = export_run(run, feature_set, configuration())
    (model / "left_over").touch()
    export_run(run, feature_set, configuration())
    assert not (model / "left_over").exists()


def test_the_exported_code_scores_with_its_requirements_alone(tmp_path):
    """In an isolated Python that sees the required packages and the exported code, and nothing else."""
    feature_set = with_fields(2, 3)
    model = export_run(run_folder(tmp_path, feature_set, numeric=2), feature_set, configuration())
    packages = tmp_path / "packages"
    packages.mkdir()
    site = Path(sysconfig.get_paths()["purelib"])
    for requirement in (model / "1" / "requirements.txt").read_text().split():
        for part in (requirement, f"{requirement}.libs"):
            if (site / part).exists():
                (packages / part).symlink_to(site / part)
    ids = random_ids(50, 5, numeric=2)
    np.save(tmp_path / "ids.npy", ids)
    script = f"""
import sys
sys.path += [{str(model / "1" / "code")!r}, {str(packages)!r}]
import numpy
from jdrec.training.scoring import Scorer
numpy.save("scores.npy", Scorer({str(model / "1" / "model")!r}).scores(numpy.load("ids.npy")))
"""
    subprocess.run([sys.executable, "-I", "-S", "-c", script], cwd=tmp_path, check=True)
    expected = Scorer(tmp_path / "checkpoints" / "best").scores(ids)
    assert np.ptp(expected) > 0.01
    np.testing.assert_array_equal(np.load(tmp_path / "scores.npy"), expected)


def test_the_bundle_follows_imports_and_nothing_else():
    modules = set(bundle.sources())
    assert {"jdrec/training/scoring.py", "jdrec/models/deepfm.py", "jdrec/models/numpy_nn.py"} <= modules
    assert not {"jdrec/config/whole.py", "jdrec/training/loop.py", "jdrec/serving/bundle.py"} & modules


def test_oneflow_without_a_graph_says_what_is_missing(tmp_path, caplog):
    feature_set = with_fields(13, 28)
    config = configuration(backend="oneflow", instance_kind="KIND_GPU", gpus=[0])
    with caplog.at_level(logging.WARNING):
        model = export_run(run_folder(tmp_path, feature_set), feature_set, config)
    assert "trains on a GPU" in caplog.text
    assert "1/model/model.safetensors" in files(model)
    assert "1/model.py" not in files(model)


def test_oneflow_with_a_graph(tmp_path, caplog):
    feature_set = with_fields(13, 28)
    run = run_folder(tmp_path, feature_set)
    graph = run / "checkpoints" / "best" / "graph"
    graph.mkdir()
    (graph / "model.mlir").write_text("graph")
    model = export_run(run, feature_set, configuration(backend="oneflow", instance_kind="KIND_GPU", gpus=[0]))
    assert {name for name in files(model) if name.startswith("1/model")} == {"1/model/model.mlir"}
    assert not caplog.records


def test_a_failed_export_leaves_the_old_one(tmp_path):
    feature_set = with_fields(1, 2)
    run = run_folder(tmp_path, feature_set)
    model = export_run(run, feature_set, configuration())
    before = files(model)
    (run / "checkpoints" / "best" / "model.safetensors").unlink()
    with pytest.raises(OSError):
        export_run(run, feature_set, configuration())
    assert files(model) == before
    assert os.listdir(tmp_path / "triton") == ["embedding"]


def test_export_before_training_is_a_clear_error(tmp_path):
    with pytest.raises(StageError, match=r"checkpoint.json is missing\. Train first"):
        export_run(tmp_path, with_fields(1, 1), configuration())


def test_other_features_than_the_models_are_refused(tmp_path):
    feature_set = with_fields(1, 2)
    model = export_run(run_folder(tmp_path, feature_set), feature_set, configuration())
    require_same_features(model / "1", feature_set)
    with pytest.raises(ServingError, match="trained on other features: features: 12 instead of 4"):
        require_same_features(model / "1", every_type())


def test_the_features_file_is_json_with_every_column(tmp_path):
    feature_set = every_type()
    model = export_run(run_folder(tmp_path, feature_set), feature_set, configuration())
    definition = json.loads((model / "1" / "features.json").read_text())
    assert definition["request"] == {"table": "requests", "key": "id", "time": "at"}
    assert definition["features"][4] == {
        "name": "f_flag",
        "text": "flag",
        "type": "bool",
        "kind": "categorical",
        "window": None,
        "join": None,
        "encoding": None,
    }


def test_the_container_command_quotes_the_path(tmp_path):
    command = container_command(tmp_path / "it's here", configuration())
    assert command.startswith("docker run --rm -p 127.0.0.1:8000:8000")
    assert f"""'{tmp_path}/it'"'"'s here:/models:ro'""" in command
    assert "pip install -r /models/embedding/1/requirements.txt" in command

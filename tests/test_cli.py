"""The command line as a user meets it: help, clear errors, exit codes, configurations of their own."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from jdrec import help
from jdrec.config import Config, Task
from jdrec.config.describe import rows


def jdrec(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "jdrec", *arguments], cwd=cwd, capture_output=True, text=True)


def test_help_fits_on_a_screen_and_names_tasks_groups_and_keys(tmp_path: Path) -> None:
    done = jdrec("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) <= 56
    for word in ("preprocess", "experiment", "jd_tutorial", "trainer.learning_rate", "--config-dir"):
        assert word in done.stdout


def test_help_of_a_task_has_its_keys(tmp_path: Path) -> None:
    done = jdrec("task=compare", "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("task=compare: two engines cell by cell: compare.with=spark\n")
    assert '  compare.with = "spark"  (embedded | spark | openmldb)\n' in done.stdout
    assert not list(tmp_path.iterdir())


def test_every_task_has_help_of_its_own() -> None:
    assert set(help._KEYS) == set(get_args(Task))
    names = {key.name for key in rows(Config)}
    for task, prefixes in help._KEYS.items():
        assert help.text([f"task={task}"]).startswith(f"task={task}: ")
        for prefix in prefixes:
            assert any(name == prefix or name.startswith(f"{prefix}.") for name in names), prefix


@pytest.mark.parametrize(("environment", "colour"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_errors_are_coloured_on_a_terminal_only(environment: dict[str, str], colour: bool, tmp_path: Path) -> None:
    main, other = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "jdrec", "task=fly"],
        cwd=tmp_path,
        stderr=other,
        env={key: value for key, value in os.environ.items() if key != "NO_COLOR"} | environment,
    )
    os.close(other)
    seen = os.read(main, 4096).decode()
    process.wait()
    assert ("\033[1;31merror:\033[0m task: 'fly'" in seen) == colour and "'fly' is not a valid value" in seen
    plain = jdrec("task=fly", cwd=tmp_path)
    assert plain.stderr.startswith("error: task: 'fly'")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["+experiment=jd_tutorail"], "error: there is no 'jd_tutorail' in the group 'experiment'. Did you mean 'jd_tutorial'?"),
        (["experiment=jd_demo"], "error: experiment: is not in the defaults list. Write +experiment=NAME."),
        (["trainer.learning_rat=1"], "error: trainer.learning_rat: unknown key 'learning_rat'. Did you mean 'learning_rate'?"),
        (
            ["trainer.batch_size=0"],
            "error: trainer.batch_size: 0 does not fit: Expected 'int' >= 1. Rows a batch, training and evaluation.",
        ),
        (["task=fly"], "error: task: 'fly' is not a valid value."),
        (
            ["features.windows.user_10.rows=ten", "task=render"],
            "error: features.windows.user_10.rows: ",
        ),
        (
            ["features.features.sku.expr=sku_ids", "task=render"],
            "error: features.features.sku.expr: ",
        ),
        (["task=serve", "run=nowhere"], "error: run: nowhere is not the folder of a run"),
        (["runs.dir=x", "task=runs"], "error: runs.dir: 'runs' holds a value and has no keys. Did you mean 'hydra.run.dir'?"),
        (
            ["task=render", f"hydra.run.dir={__file__}"],
            f"error: hydra.run.dir or hydra.sweep.dir: {__file__} cannot be a folder: a file is in its place.",
        ),
        (["task=render", "seed=${nothing}"], "error: seed: Interpolation key 'nothing' not found."),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_1(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = jdrec(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(message) or f"\n{message}" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_missing_tables_are_one_message(tmp_path: Path) -> None:
    done = jdrec("+experiment=jd_deepfm", "dataset.root=no/such/folder", "task=extract", cwd=tmp_path)
    assert done.returncode == 1
    assert "error: " in done.stderr and "no/such/folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_cfg_job_prints_the_composed_configuration(tmp_path: Path) -> None:
    done = jdrec("+experiment=jd_demo", "--cfg", "job", cwd=tmp_path)
    assert done.returncode == 0
    assert "embedding_dim: 8" in done.stdout


def test_a_configuration_of_the_users_own_is_added_by_config_dir(tmp_path: Path) -> None:
    own = tmp_path / "mine" / "experiment"
    own.mkdir(parents=True)
    (own / "mine.yaml").write_text("# @package _global_\nopenmldb: {deployment: my_deployment}\n")
    done = jdrec("--config-dir", "mine", "+experiment=mine", "task=render", "hydra.run.dir=out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "DEPLOY my_deployment" in (tmp_path / "out" / "sql" / "deploy.sql").read_text()


def test_yaml_that_does_not_parse_is_named_by_file_and_line(tmp_path: Path) -> None:
    own = tmp_path / "mine" / "experiment"
    own.mkdir(parents=True)
    (own / "broken.yaml").write_text("# @package _global_\nmodel: {dnn: [1, 2}\n")
    done = jdrec("--config-dir", "mine", "+experiment=broken", cwd=tmp_path)
    assert done.returncode == 1
    assert "broken.yaml" in done.stderr and "line 2" in done.stderr
    assert "Traceback" not in done.stderr

"""How a sweep runs: what is missing alone, on cores of its own, by a study that goes on."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from jdrec.composition import compose
from jdrec.errors import ConfigError
from jdrec.paths import CONF
from jdrec.sweep import features, parallel
from jdrec.sweep.done import finished_before
from tests.composing import composed

TINY = (
    "+experiment=jd_demo",
    "dataset.root=tables",
    "dataset.generate={users:200,products:40,actions:4000,requests:1500}",
    "cache.dir=cache",
    "trainer.framework=torch",
    "trainer.epochs=1",
    "model.dnn=[4]",
    "evaluate.bootstrap=0",
    "task=evaluate",
)


def jdrec(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "jdrec", *arguments], cwd=cwd, capture_output=True, text=True)


# --- what was done before -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("keys", "message"), [({"jobs": -1}, "hydra.launcher.jobs: -1"), ({"cores": "x"}, "hydra.launcher.cores: 'x'")])
def test_a_wrong_number_of_jobs_is_told_before_any_runs(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parallel.ParallelLauncher(**keys).launch([["seed=1"]], 0)
    assert str(error.value).startswith(f"{message} is not a whole number of ")


def test_a_finished_job_of_the_same_configuration_is_not_run_again(tmp_path: Path) -> None:
    config = composed("+experiment=jd_demo", "seed=3")
    record = {"task": "report", "status": "finished", "config": json.loads(msgspec.json.encode(config))}
    record["config"]["dataset"]["root"] = str(Path(config.dataset.root).resolve())
    assert finished_before(config, tmp_path) is None
    (tmp_path / "run.json").write_text(json.dumps(record))
    assert finished_before(config, tmp_path) is None  # it has no metrics
    (tmp_path / "metrics.json").write_text('{"valid": {"auc": 0.75}}')
    assert finished_before(config, tmp_path) == 0.75
    assert finished_before(composed("+experiment=jd_demo", "seed=4"), tmp_path) is None
    (tmp_path / "run.json").write_text(json.dumps(record | {"status": "failed"}))
    assert finished_before(config, tmp_path) is None


# --- side by side ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cores", "jobs", "expected"),
    [
        ([0, 1, 2, 3], 2, [(0, 1), (2, 3)]),
        ([0, 1, 2, 3, 4], 2, [(0, 1), (2, 3, 4)]),
        ([4, 6], 2, [(4,), (6,)]),
        ([0, 1], 3, [(0,), (1,), (0,)]),
    ],
)
def test_every_job_has_cores_of_its_own(
    monkeypatch: pytest.MonkeyPatch, cores: list[int], jobs: int, expected: list[tuple[int, ...]]
) -> None:
    monkeypatch.setattr(parallel, "_cores", lambda: cores)
    assert parallel.share_cores(jobs) == expected


def test_a_job_sees_its_cores_and_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child writes down what it was given."""
    script = tmp_path / "child"
    script.write_text(
        f"#!{sys.executable}\nimport os, sys, pathlib\n"
        "folder = pathlib.Path([a for a in sys.argv if a.startswith('hydra.run.dir=')][0].split('=')[1])\n"
        "(folder / 'seen').write_text(f\"{sorted(os.sched_getaffinity(0))} {os.environ['OMP_NUM_THREADS']}\")\n"
    )
    script.chmod(0o755)
    monkeypatch.setattr(parallel.sys, "executable", str(script))
    launcher = parallel.ParallelLauncher(jobs=1)
    launcher.config = SimpleNamespace(hydra=SimpleNamespace(runtime=SimpleNamespace(config_sources=[])))
    launcher._common = set()
    core = min(os.sched_getaffinity(0))
    job = launcher._start(parallel._Job(0, ["seed=1"], None, tmp_path / "0"), (core,))
    assert job.process is not None and job.process.wait() == 0
    assert (tmp_path / "0" / "seen").read_text() == f"[{core}] 1"


def test_the_launcher_is_found_wherever_jdrec_is_called_from(tmp_path: Path) -> None:
    arguments = (
        "+experiment=jd_demo",
        "task=render",
        "seed=1,2",
        "hydra/launcher=parallel",
        "hydra.launcher.jobs=2",
        "hydra.sweep.dir=sweep",
    )
    done = jdrec("-m", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.parent.name for path in (tmp_path / "sweep").glob("*/run.json")} == {"0", "1"}


@pytest.mark.slow
@pytest.mark.torch
def test_a_failed_job_is_told_at_once_the_others_go_on_and_only_it_runs_again(tmp_path: Path) -> None:
    sweep = (
        "-m",
        *TINY,
        "seed=1,2",
        "model.embedding_dim=0,2",
        "hydra/launcher=parallel",
        "hydra.launcher.jobs=2",
        "hydra.sweep.dir=sweep",
    )
    first = jdrec(*sweep, cwd=tmp_path)
    assert first.returncode == 1
    assert "job 0 failed: model.embedding_dim: 0 does not fit" in first.stderr + first.stdout
    assert "error: 2 jobs of the sweep failed:\njob 0: model.embedding_dim: 0 does not fit" in first.stderr
    assert "\n  sweep/2/output.txt" in first.stderr
    assert {path.parent.name for path in (tmp_path / "sweep").glob("*/metrics.json")} == {"1", "3"}
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "sweep").glob("*/metrics.json")}
    again = jdrec(*sweep, cwd=tmp_path)
    said = again.stderr + again.stdout
    assert "#1 is done" in said and "#3 is done" in said and "#0 begins" in said and "#1 begins" not in said
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert (tmp_path / "sweep" / "leaderboard.csv").is_file()


# --- studies --------------------------------------------------------------------------------------------------------------------


class Launched:
    """Stands for a launcher: notes the jobs, returns a value of their rate, fails or is stopped where told."""

    def __init__(self, fails: set[int] = frozenset(), stops: int | None = None):  # type: ignore[assignment]
        self.jobs: dict[int, list[str]] = {}
        self.fails, self.stops = fails, stops

    def launch(self, overrides: list[list[str]], initial_job_idx: int) -> list[Any]:
        returned = []
        for number, items in enumerate(overrides, initial_job_idx):
            if number == self.stops:
                raise KeyboardInterrupt
            self.jobs[number] = items
            rate = float(next(item.partition("=")[2] for item in items if item.startswith("trainer.learning_rate=")))
            returned.append(SimpleNamespace(return_value=math.nan if number in self.fails else 1 - abs(math.log10(rate) + 3)))
        return returned


SPACE = ["seed=5", "trainer.learning_rate=tag(log,interval(1e-5,1e-1))", "model.embedding_dim=choice(4,8)", "model.dnn=[8],[8,8]"]


def sweeper(folder: Path, launcher: Launched, trials: int, **more: Any) -> Any:
    pytest.importorskip("optuna")
    from jdrec.sweep.optuna import OptunaSweeper

    made = OptunaSweeper(trials=trials, **more)
    from omegaconf import OmegaConf

    made.cfg = OmegaConf.create({"hydra": {"sweep": {"dir": str(folder)}}})
    made.context = SimpleNamespace(config_loader=None)
    made.launcher = launcher
    return made


def trials(folder: Path) -> list[Any]:
    import optuna

    return optuna.load_study(study_name="jdrec", storage=f"sqlite:///{folder / 'study.db'}").trials


def test_a_study_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    stopped = Launched(stops=4)
    with pytest.raises(KeyboardInterrupt):
        sweeper(tmp_path, stopped, 8).sweep(SPACE)
    asked = trials(tmp_path)[4].params
    going_on = Launched()
    sweeper(tmp_path, going_on, 8).sweep(SPACE)
    assert sorted(going_on.jobs) == [4, 5, 6, 7]  # job 4 in its own folder, with the values that it was to have
    assert {item.partition("=")[0]: item.partition("=")[2] for item in going_on.jobs[4]} == {
        "seed": "5",
        **{key: str(value) for key, value in asked.items()},
    }
    assert len({tuple(items) for items in [*stopped.jobs.values(), *going_on.jobs.values()]}) == 8  # none is asked twice
    assert [trial.state.name for trial in trials(tmp_path)] == ["COMPLETE"] * 8
    nothing_left = Launched()
    sweeper(tmp_path, nothing_left, 8).sweep(SPACE)
    assert nothing_left.jobs == {}


def test_a_failed_job_is_a_failed_trial_and_counts(tmp_path: Path) -> None:
    launcher = Launched(fails={1})
    sweeper(tmp_path, launcher, 3, parallel=2).sweep(SPACE)
    assert [trial.state.name for trial in trials(tmp_path)] == ["COMPLETE", "FAIL", "COMPLETE"]


def test_a_study_finds_what_is_better_than_chance(tmp_path: Path) -> None:
    launcher = Launched()
    sweeper(tmp_path, launcher, 30).sweep(SPACE)
    values = [trial.value for trial in trials(tmp_path)]
    assert max(values) > 0.9
    assert sum(values[15:]) / 15 > sum(values[:10]) / 10


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("a=choice(4,8)", "CategoricalDistribution(choices=('4', '8'))"),
        ("a=[8],[8,8]", "CategoricalDistribution(choices=('[8]', '[8,8]'))"),
        ("a=range(1,5)", "IntDistribution(high=4, log=False, low=1, step=1)"),
        ("a=interval(0.0,0.5)", "FloatDistribution(high=0.5, log=False, low=0.0, step=None)"),
        ("a=tag(log,interval(1e-4,1e-2))", "FloatDistribution(high=0.01, log=True, low=0.0001, step=None)"),
        ("a=int(interval(4,64))", "IntDistribution(high=64, log=False, low=4, step=1)"),
    ],
)
def test_what_an_override_lets_a_study_choose_from(override: str, expected: str) -> None:
    pytest.importorskip("optuna")
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from jdrec.sweep.optuna import distribution

    (parsed,) = OverridesParser.create().parse_overrides([override])
    assert str(distribution(parsed)) == expected


def test_a_study_of_nothing_and_an_unknown_sampler_are_mistakes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is nothing to choose"):
        sweeper(tmp_path, Launched(), 3).sweep(["seed=1"])
    with pytest.raises(ConfigError, match="there is no sampler 'grid'"):
        sweeper(tmp_path, Launched(), 3, sampler="grid").sweep(SPACE)


# --- feature studies and what is shipped ----------------------------------------------------------------------------------------


def root(*overrides: str) -> Any:
    from omegaconf import OmegaConf

    return OmegaConf.create(json.loads(msgspec.json.encode(compose(overrides))))


def test_drop_one_goes_through_every_field_of_the_model() -> None:
    shown = features.drop_one(_root_=root("+experiment=jd_demo", "features.select=[sku,weekday,user_age]"))
    assert shown == "[],[sku],[weekday],[user_age]"
    shown = features.drop_one(_root_=root("+experiment=jd_demo", "features.select=[sku,weekday,user_age]", "features.drop=[sku]"))
    assert shown == "[sku],[sku,weekday],[sku,user_age]"


def test_add_one_adds_each_other_field_to_the_selected_ones() -> None:
    shown = features.add_one(_root_=root("+experiment=jd_demo", "features.select=[sku,weekday]"))
    choices = shown.split("],[")
    assert choices[:2] == ["[sku,weekday", "sku,weekday,user_pairs_10"] and choices[-1].startswith("sku,weekday,") and len(choices) == 29
    alone = features.add_one(_root_=root("+experiment=jd_demo"))
    assert alone.startswith("[user_pairs_10],") and "[sku]" in alone


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize(
    ("name", "more", "jobs"),
    [
        ("seeds", ("seed=range(1,3)",), 2),
        ("drop_one", ("features.select=[sku,weekday]",), 3),
        ("add_one", ("features.drop=[pair_*,user_*,product_*,*comment*]",), 3),
        ("optuna", ("hydra.sweeper.trials=2",), 2),
    ],
)
def test_every_shipped_sweep_runs(tmp_path: Path, name: str, more: tuple[str, ...], jobs: int) -> None:
    done = jdrec("-m", *TINY, f"+sweep={name}", *more, "hydra.sweep.dir=sweep", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "sweep").glob("*/metrics.json"))) == jobs
    assert (tmp_path / "sweep" / "leaderboard.csv").is_file()


def test_every_shipped_sweep_is_run() -> None:
    assert {file.stem for file in (CONF / "sweep").glob("*.yaml")} == {"seeds", "drop_one", "add_one", "optuna"}

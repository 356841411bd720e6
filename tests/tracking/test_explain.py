"""dry=true says what would run and why, and does nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jdrec import stages
from jdrec.cache import Entry
from jdrec.stages import Run
from jdrec.tracking.explain import reasons
from tests.composing import composed


def entry(**inputs: object) -> Entry:
    return Entry(Path("x"), "train", "k", 0, 0, 0, "", inputs)


def test_the_reasons_are_what_differs_from_the_most_similar_result() -> None:
    earlier = [
        entry(after="a", code=["1"], trainer={"learning_rate": 0.1, "batch_size": 10}, seed=1),
        entry(after="b", code=["2"], trainer={"learning_rate": 0.3, "batch_size": 99}, seed=7),
    ]
    wanted = {"after": "b", "code": ["1"], "trainer": {"learning_rate": 0.2, "batch_size": 10}, "seed": 1}
    assert reasons(wanted, "preprocess", earlier) == ["preprocess differs", "trainer.learning_rate: 0.1 before, 0.2 now"]


def test_other_code_and_data_are_named_without_their_hashes() -> None:
    found = reasons({"code": ["2"], "data": {"bo_user": [["a", 1, "x"]]}}, None, [entry(code=["1"], data={"bo_user": [["a", 1, "y"]]})])
    assert found == ["the code differs", "table bo_user differs"]


def test_without_an_earlier_result_there_is_nothing_to_compare_with() -> None:
    assert reasons({}, None, []) == ["no earlier result"]


def test_a_dry_run_makes_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "jdrec", "+experiment=jd_demo", "dry=true"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "the tables have to be generated first" in done.stdout
    assert not [item for item in tmp_path.rglob("*") if item.is_file()]


def test_long_lists_are_told_by_what_changed() -> None:
    fields = [[f"field_{number}", "categorical"] for number in range(40)]
    earlier = entry(fields=fields)
    assert reasons({"fields": fields[1:]}, "extract", [earlier]) == ['fields: without [["field_0", "categorical"]]']
    assert reasons({"fields": [*fields, ["new", "numeric"]]}, "extract", [earlier]) == ['fields: with [["new", "numeric"]]']
    assert reasons({"fields": fields[::-1]}, "extract", [earlier]) == ["fields: another order"]
    assert len(reasons({"fields": []}, "extract", [earlier])[0]) < 150


@pytest.mark.parametrize(("split", "same"), [("time", True), ("row_order", True), ("random", False)])
def test_seeds_share_their_samples_unless_the_split_is_random(split: str, same: bool, tmp_path: Path) -> None:
    first, second = (
        stages.CACHED["preprocess"].inputs(Run(composed("+experiment=jd_demo", f"preprocess.split.by={split}", f"seed={seed}"), tmp_path))
        for seed in (1, 2)
    )
    assert (first == second) is same

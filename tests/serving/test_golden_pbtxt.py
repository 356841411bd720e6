"""config.pbtxt of every shipped experiment, as a file to read and review. `pytest --update-golden` rewrites them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jdrec.composition import typed
from jdrec.config import Config, defaults
from jdrec.features.resolve import resolve
from jdrec.paths import CONF
from jdrec.serving.pbtxt import render
from tests.serving.test_pbtxt import TUTORIAL, parse

EXPERIMENTS = sorted(file.stem for file in (CONF / "experiment").glob("*.yaml"))


def experiment(name: str, *overrides: str) -> Config:
    """A shipped experiment as the command line composes it."""
    from hydra import compose, initialize_config_dir
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store(name="schema_defaults", node=defaults())
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return typed(compose("config", [f"+experiment={name}", *overrides]))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_rendered_config_is_the_golden_one(name: str, golden: Callable[[str, str], None]):
    config = experiment(name)
    text = render(resolve(config), config.serving.triton)
    golden(f"{name}/config.pbtxt", text)
    assert parse(text)["name"] == config.serving.triton.model


def test_jd_tutorial_is_the_tutorials_message():
    config = experiment("jd_tutorial")
    assert parse(render(resolve(config), config.serving.triton)) == TUTORIAL


def test_triton_python_changes_backend_and_instance_group_only():
    config = experiment("jd_tutorial", "serving=triton_python")
    message = parse(render(resolve(config), config.serving.triton))
    assert message == {**TUTORIAL, "backend": "python", "instance_group": [{"count": 1, "kind": "KIND_CPU"}]}

"""Configurations that cannot be composed: one message that says where, what and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError

from jdrec.complaints import arranged, require_folders
from jdrec.composition import compose
from jdrec.errors import ConfigError
from jdrec.sweep.jobs import together

FILES = {
    "tab": b"model:\n\tdnn: [8]\n",
    "duplicate": b"model:\n  dnn: [8]\n  dnn: [9]\n",
    "on_twice": b"features: {joins: {product: {on: a, on: b}}}\n",
    "binary": b"\xff\xfe\x00",
    "number": b"defaults: 3\n",
    "gone": b"defaults:\n  - /experiment/nowhere\n",
    "alias": b"model: *nothing\n",
    "itself": b"seed: &a\n  b: *a\n",
    "object": b"seed: !!python/object:os.system {}\n",
    "unset": b"seed: ${oc.env:JDREC_NOT_SET}\n",
    "plain": b"",
}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    (folder / "experiment").mkdir()
    for name, content in FILES.items():
        (folder / "experiment" / f"{name}.yaml").write_bytes(b"# @package _global_\n" + content if name != "binary" else content)
    (folder / "experiment" / "bom.yaml").write_bytes(b"\xef\xbb\xbf# @package _global_\nseed: 5\n")
    return folder


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["runs.dir=x"], "runs.dir: 'runs' holds a value and has no keys. Did you mean 'hydra.run.dir'?"),
        (["seed.x=3"], "seed.x: 'seed' holds a value and has no keys."),
        (["trainer"], "trainer: there is no '='. Write trainer=VALUE."),
        (["+experiment"], "+experiment: there is no '='. Write +experiment=VALUE."),
        (["render"], "render: there is no '='. Write task=render."),
        (["trainr"], "trainr: unknown key 'trainr'. Did you mean 'trainer'?"),
        ([""], "an argument is empty. Is a variable of the shell unset?"),
        (["trainer.early_stop.monitor=acu"], "trainer.early_stop: monitor: there is no metric 'acu'. Did you mean 'auc'?"),
        (["=3"], "=3: there is no key before the '='."),
        (["~trainer.lerning_rate"], "trainer.lerning_rate: unknown key 'lerning_rate'. Did you mean 'learning_rate'?"),
        (["~features.windows.user_1"], "features.windows.user_1: 'user_1' is not in the composed configuration. Did you mean 'user_10'?"),
        (["+seed=3"], "seed: is there already. Write seed=VALUE, without the +."),
        (["+trainer=torch"], "trainer: is there already. Write trainer=VALUE, without the +."),
        (["++trainer.lerning_rate=1"], "trainer.lerning_rate: unknown key 'lerning_rate'. Did you mean 'learning_rate'?"),
        (["trainer=null"], "trainer: 'null' is no option. Valid: oneflow, torch."),
        (["trainer=torhc"], "there is no 'torhc' in the group 'trainer'. Did you mean 'torch'?"),
        (["model.dnn=[400"], "model.dnn: a bracket is not closed in [400"),
        (["model.dnn=[400,'a]"], "model.dnn: a quote is not closed in [400,'a]"),
        (["model.dnn[0]=3"], "model.dnn[0]: a key has no brackets. An item of a list is KEY.0=VALUE."),
        (
            ["task=render seed=3"],
            "task=render seed=3: these are several overrides in one. Leave a space between them outside of the quotes.",
        ),
        (["features.features=[]"], "features.features: [] does not fit: Cannot merge DictConfig with ListConfig."),
        (["seed=${nothing}"], "seed: Interpolation key 'nothing' not found."),
        (["seed=${seed}"], "seed: Recursive interpolation detected."),
        (["seed=null"], "seed: null does not fit: Expected 'int', got 'null'. Seed of splits, initial weights, dropout and shuffling."),
        (["dataset.root="], "dataset.root: '' does not fit: Expected 'str' of length >= 1. Folder that holds the tables."),
        (
            ["features.joins.product.on=nothing", "features.joins.product.onn=x"],
            "features.joins.product.onn: unknown key 'onn'. Did you mean 'on'?",
        ),
        (["hydra.run.dri=x"], "hydra.run.dri: 'dri' is not in the composed configuration. Did you mean 'dir'?"),
        (
            ["features.features.x.expr=count(a)"],
            "features.features.x.expr: Hydra reads count(...) as a function of its own. Quote an expression: 'features.features.x.expr=\"count(...)\"'.",
        ),
    ],
)
def test_overrides(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        compose(overrides)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tab", "tab.yaml, line 3, column 1: not valid YAML: found character that cannot start any token."),
        ("duplicate", "duplicate.yaml, line 4, column 3: not valid YAML: found duplicate key dnn."),
        ("on_twice", "on_twice.yaml, line 2, column 37: not valid YAML: found duplicate key on."),
        ("binary", "binary.yaml: is not a text in UTF-8."),
        ("number", "Invalid defaults list in 'experiment/number', defaults must be a list (got int)"),
        ("gone", "a defaults list names 'experiment/nowhere', which is not there."),
        ("alias", "alias.yaml, line 2, column 8: not valid YAML: found undefined alias."),
        ("itself", "the configuration contains itself."),
        ("object", "not valid YAML: could not determine a constructor for the tag 'tag:yaml.org,2002:python/object:os.system'."),
        (
            "bom",
            "experiment: what the file says would change nothing: it lies below the key 'experiment'. "
            "It must begin with the line # @package _global_, without a byte order mark before it.",
        ),
        ("unset", "seed: Environment variable 'JDREC_NOT_SET' not found."),
    ],
)
def test_files(name: str, message: str, own: Path) -> None:
    with pytest.raises(ConfigError) as error:
        compose([f"+experiment={name}"], own)
    assert str(error.value).endswith(message)


def test_a_join_is_reached_by_its_plain_key(own: Path) -> None:
    assert compose(["features.joins.product.on=user_id"]).features.joins["product"].on == "user_id"
    config = compose(["+experiment=plain", "features.joins.product={last_join: bo_product, on: user_id}"], own)
    assert config.features.joins["product"].on == "user_id"


def test_switches_may_stand_anywhere() -> None:
    assert arranged(["seed=1,2", "-m", "task=render"]) == ["-m", "seed=1,2", "task=render"]
    assert arranged(["a=1", "--config-dir", "own", "b=2", "-m", "c=-3"]) == ["--config-dir", "own", "-m", "a=1", "b=2", "c=-3"]
    assert arranged(["seed=3", "--info"]) == ["seed=3", "--info"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mulitrun", "seed=1,2"], "--mulitrun: there is no such switch. Did you mean '--multirun'?"),
        (["seed=3", "--config-dir"], "argument --config-dir/-cd: expected one argument. python -m jdrec --help shows what there is."),
    ],
)
def test_wrong_switches(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        arranged(arguments)
    assert str(error.value) == message


def test_an_unset_variable_is_no_folder() -> None:
    with pytest.raises(ConfigError, match=r"^hydra\.run\.dir: is empty\. For the working folder write a dot\.$"):
        require_folders(["task=render", "hydra.run.dir="])
    require_folders(["hydra.run.dir=."])


def test_a_bug_is_no_complaint() -> None:
    """The command line shows the traceback of what this does not explain."""
    OmegaConf.register_new_resolver("jdrec.bug", together, replace=True)
    try:
        with pytest.raises(InterpolationResolutionError, match=r"^TypeError raised while resolving interpolation: .* has no len"):
            compose(["seed=${jdrec.bug:3}"])
        with pytest.raises(ConfigError, match=r"^seed: mismatched input"):
            compose(["seed=${oc.decode:'{'}"])
    finally:
        OmegaConf.clear_resolver("jdrec.bug")

"""Writes the Triton model repository: what Triton needs to score, and what the prediction service needs to ask it.

triton/<model>/config.pbtxt
triton/<model>/<version>/model/           the checkpoint, or OneFlow's saved graph
                         model.py         backend python: runs in Triton (templates/triton/model.py)
                         code/jdrec/      backend python: the modules that scoring needs
                         requirements.txt what they need
                         encoder.json     values to ids
                         features.json    what the features are
                         data_info.json   the training data
                         statistics.json  what fields and scores looked like in training
"""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from jdrec.errors import ServingError, StageError
from jdrec.files import locked, replacing_folder, write_text
from jdrec.paths import TEMPLATES
from jdrec.serving import bundle, pbtxt
from jdrec.serving.definition import describe, first_difference
from jdrec.serving.statistics import STATISTICS, statistics

if TYPE_CHECKING:
    from jdrec.config import Config
    from jdrec.features.spec import FeatureSet

log = logging.getLogger(__name__)

GRAPH = "graph"  # beside the weights in a checkpoint trained on a GPU: OneFlow's saved graph
IMAGE = "nvcr.io/nvidia/tritonserver:24.10-py3"
_SERVICE_FILES = ("encoder.json", "data_info.json")


def export(feature_set: FeatureSet, config: Config, *, checkpoint: Path, samples: Path, out: Path) -> Path:
    """Writes `out`/<model>, replacing one of that name.

    Args:
        feature_set: what the model was trained on.
        config: `serving.triton` is used.
        checkpoint: folder of the trained model.
        samples: folder with encoder.json and data_info.json.
        out: the model repository.

    Returns:
        The model's folder.

    Raises:
        StageError: a file of training or preprocessing is missing.
        ConfigError: `serving.triton` contradicts itself.
    """
    triton = config.serving.triton
    text = pbtxt.render(feature_set, triton)
    for needed in (checkpoint / "checkpoint.json", *(samples / name for name in _SERVICE_FILES)):
        if not needed.is_file():
            raise StageError(f"{needed} is missing.", hint="Train first: task=train.")
    model = out / triton.model
    with replacing_folder(model) as staged:
        version = staged / str(triton.version)
        version.mkdir()
        (staged / "config.pbtxt").write_text(text, encoding="utf-8")
        if triton.backend == "python":
            _write_python_model(checkpoint, version)
        else:
            _write_graph(checkpoint, version)
        for name in _SERVICE_FILES:
            shutil.copyfile(samples / name, version / name)
        figures = json.dumps(statistics(samples, checkpoint), indent=1, ensure_ascii=False, allow_nan=False)
        (version / STATISTICS).write_text(figures + "\n", encoding="utf-8")
        definition = json.dumps(describe(feature_set), indent=1, ensure_ascii=False)
        (version / "features.json").write_text(definition + "\n", encoding="utf-8")
    return model


def _write_python_model(checkpoint: Path, version: Path) -> None:
    shutil.copyfile(TEMPLATES / "triton" / "model.py", version / "model.py")
    _copy_checkpoint(checkpoint, version / "model")
    for path, text in bundle.sources().items():
        file = version / "code" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (version / "requirements.txt").write_text("".join(f"{name}\n" for name in bundle.REQUIREMENTS))


def _write_graph(checkpoint: Path, version: Path) -> None:
    if (checkpoint / GRAPH).is_dir():
        shutil.copytree(checkpoint / GRAPH, version / "model")
        return
    log.warning(
        "Triton's oneflow backend runs a graph that OneFlow saves when it trains on a GPU, and this model was trained without one: "
        "%s/model holds the checkpoint instead. Train on a GPU, or export with serving=triton_python.",
        version.name,
    )
    _copy_checkpoint(checkpoint, version / "model")


def _copy_checkpoint(checkpoint: Path, target: Path) -> None:
    target.mkdir()
    for name in ("checkpoint.json", "model.safetensors"):
        shutil.copyfile(checkpoint / name, target / name)


def version_folder(run: Path, config: Config) -> Path:
    """The exported version of a run that `serving.triton` names.

    Raises:
        StageError: it has not been exported.
    """
    triton = config.serving.triton
    folder = run / "triton" / triton.model / str(triton.version)
    require_exported(folder)
    return folder


def require_exported(folder: Path) -> None:
    """Raises StageError where a version's folder is none."""
    if not (folder / "features.json").is_file():
        raise StageError(f"{folder} is not an exported model.", hint="Export it first: task=export.")


def repository_of(config: Config, run: Path) -> Path:
    """Where the models lie that are served: those published, or the run's own."""
    return Path(config.serving.repository) if config.serving.repository else run / "triton"


def versions_in(repository: Path) -> dict[tuple[str, int], Path]:
    """The exported versions in a repository: (model, version) to folder."""
    return {
        (version.parent.name, int(version.name)): version
        for version in sorted(repository.glob("*/*"))
        if re.fullmatch("[1-9][0-9]{0,8}", version.name)
        and not version.parent.name.startswith(".")
        and (version / "features.json").is_file()
    }


def publish(run: Path, config: Config, repository: Path) -> tuple[str, int]:
    """Adds the run's exported version to a repository, as the next version of its model there.

    Returns:
        (model, version).

    Raises:
        StageError: nothing is exported.
        ServingError: the repository's model of that name takes another input or runs otherwise.
    """
    source = version_folder(run, config)
    name = source.parent.name
    text = (source.parent / "config.pbtxt").read_text(encoding="utf-8").rstrip("\n") + _ALL_VERSIONS
    model = repository / name
    model.mkdir(parents=True, exist_ok=True)
    with locked(repository / f".{name}.lock"):
        if (model / "config.pbtxt").is_file() and (model / "config.pbtxt").read_text(encoding="utf-8") != text:
            raise ServingError(
                f"The model {name!r} in {repository} has another config.pbtxt, and all its versions share one.",
                where="serving.triton.model",
                hint="Publish under another name: serving.triton.model=NAME.",
            )
        write_text(model / "config.pbtxt", text)
        version = max((int(item.name) for item in model.iterdir() if item.name.isdigit()), default=0) + 1
        staging = repository / f".{name}.{version}.{os.getpid()}"  # not beside its place, where Triton looks for versions
        try:
            shutil.copytree(source, staging)
            os.replace(staging, model / str(version))
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return name, version


_ALL_VERSIONS = """

version_policy {
  all {}
}
"""


def require_same_features(version: Path, feature_set: FeatureSet) -> None:
    """Checks that the exported model was trained on these features.

    Raises:
        ServingError: it was not, with the first difference.
    """
    exported = json.loads((version / "features.json").read_text(encoding="utf-8"))
    difference = first_difference(exported, describe(feature_set))
    if difference:
        raise ServingError(
            f"The model in {version} was trained on other features: {difference}.",
            hint="Serve it with the configuration it was trained with.",
        )


def container_command(repository: Path, config: Config) -> str:
    """A command line that serves the repository in a stock Triton container."""
    triton = config.serving.triton
    volume = shlex.quote(f"{repository.resolve()}:/models:ro")
    if triton.backend == "oneflow":
        return (
            f"docker run --rm --gpus all -p 127.0.0.1:8000:8000 -v {volume} -v LIBRARIES:/backends/oneflow {IMAGE} "
            "tritonserver --model-repository=/models --backend-directory=/backends  # LIBRARIES: a build of OneFlow's Triton backend"
        )
    install = f"pip install -r /models/{triton.model}/{triton.version}/requirements.txt"
    return (
        f"docker run --rm -p 127.0.0.1:8000:8000 --shm-size=256m -e OPENBLAS_NUM_THREADS=1 -v {volume} {IMAGE} "
        f'sh -c "{install} && tritonserver --model-repository=/models"'
    )

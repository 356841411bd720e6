"""Between Hydra and jdrec: compose the YAML, hand a typed `Config` to the pipeline, and put Hydra's errors into plain words."""

from __future__ import annotations

import errno
import logging
import math
import shutil
import sys
import warnings
from collections.abc import Container, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from jdrec.config import Config, defaults, load
from jdrec.errors import ConfigError, JdrecError
from jdrec.paths import CONF

log = logging.getLogger(__name__)


def run_with_hydra() -> None:
    """Reads the command line, composes, and runs the task once, or many times under -m.

    Raises:
        JdrecError: the job failed, or, after all the others have ended, some job of a multirun.
    """
    _prepare_yaml()
    import hydra
    from hydra._internal.hydra import Hydra
    from hydra.core.config_store import ConfigStore

    from jdrec import sweep
    from jdrec.sweep import features, plugins

    # -m alone decides on a multirun, where Hydra would compose everything once before only to look for hydra.mode.
    Hydra.get_mode = lambda self, config_name, overrides: None  # type: ignore[method-assign]
    # A folder of configuration that is not there is a mistake, not a remark.
    warnings.filterwarnings("error", r"provider=.* is not available", UserWarning)
    if any(argument.startswith("-") or argument.endswith(".dir=") for argument in sys.argv[1:]):
        from jdrec import complaints

        sys.argv[1:] = complaints.arranged(sys.argv[1:])
        complaints.require_folders(sys.argv[1:])
    failures: list[JdrecError] = []
    ConfigStore.instance().store(name="schema_defaults", node=defaults())
    features.register()
    plugins.register()
    job = partial(_job, failures=failures)
    hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(job)()
    if not failures and sweep.failed:  # of a launcher whose jobs run elsewhere
        failures += sweep.failed
    if failures:
        from jdrec.sweep.jobs import together

        raise together(failures)


@cache
def _prepare_yaml() -> None:
    """OmegaConf's loader and dumper are built on what stands in the library's places: libyaml's do the same in C.

    A key is a text, also where YAML 1.1 reads a boolean: `on` of a join, a feature that is called `no`.
    """
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        def construct_document(self, node: Any) -> Any:
            waiting, seen = [node], {id(node)}
            while waiting:
                found = waiting.pop()
                inside = found.value if isinstance(found, yaml.SequenceNode) else []
                if isinstance(found, yaml.MappingNode):
                    inside = [value for _, value in found.value]
                    for key, _ in found.value:
                        if key.tag == "tag:yaml.org,2002:bool":
                            key.tag = "tag:yaml.org,2002:str"
                new = [item for item in inside if isinstance(item, yaml.CollectionNode) and id(item) not in seen]
                seen.update(map(id, new))  # an alias can lead back
                waiting += new
            return super().construct_document(node)

    yaml.SafeLoader, yaml.Dumper = Loader, getattr(yaml, "CDumper", yaml.Dumper)  # type: ignore[misc]


def _job(composed: Any, failures: list[JdrecError]) -> float | None:
    """One job. Its failure is kept rather than raised: Hydra would print its own words, and the other jobs of a sweep go on."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    from jdrec import pipeline

    runtime = HydraConfig.get()
    folder = _shortest(Path(runtime.runtime.output_dir))
    overrides: list[str] = OmegaConf.to_container(runtime.overrides.task, resolve=False)  # type: ignore[assignment]
    try:
        config = typed(_over_earlier_run(composed, overrides) if composed.run else composed)
        if runtime.mode == RunMode.MULTIRUN:
            from jdrec.sweep.done import finished_before

            if (earlier := finished_before(config, folder)) is not None:
                log.info("job %s is done: reused", runtime.job.num)
                return earlier
        result = pipeline.run(config, folder, overrides)
        if config.run or config.dry or pipeline.stands_alone(config.task):  # what was made lies elsewhere
            _remove_if_unused(folder)
        return result
    except JdrecError as error:
        failure = error
    except Exception as error:
        log.debug("internal error", exc_info=True)  # the log file takes debug records, the terminal does not
        failure = _from_system(error) or InternalError(error, folder / "jdrec.log")
    log.debug("stopped: %s", failure)
    if runtime.mode == RunMode.MULTIRUN:
        from jdrec.sweep.jobs import JobError

        log.error("job %s failed: %s", runtime.job.num, failure)
        failure = JobError(runtime.job.num, failure, folder / "jdrec.log")
    failures.append(failure)
    return math.nan


def _remove_if_unused(folder: Path) -> None:
    """Removes the folder that Hydra made for this call, if it has nothing but Hydra's own files and a log."""
    if {item.name for item in folder.iterdir()} <= {".hydra", "jdrec.log"}:
        shutil.rmtree(folder)


def _shortest(path: Path) -> Path:
    """Relative to the working folder where it lies below it; jdrec never changes that folder."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


class InternalError(JdrecError):
    """A bug: the user sees one line, the run's log has the traceback."""

    def __init__(self, error: BaseException, log_file: Path):
        super().__init__(f"this is a bug in jdrec: {type(error).__name__}: {error}.", hint=f"The traceback is in {log_file}.")


_FREE_WITH_RUN = (
    "task",
    "run",
    "request",
    "dataset.root",
    "engine",
    "openmldb",
    "deploy",
    "online",
    "serving",
    "evaluate",
    "verify",
    "score",
    "cache",
)


def _over_earlier_run(composed: Any, overrides: list[str]) -> Any:
    """The configuration of the run in `composed.run`, with what the command line may still change."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf

    from jdrec.tracking.earlier import earlier_values
    from jdrec.tracking.runs import read_run

    earlier = OmegaConf.create(earlier_values(read_run(Path(composed.run), "run")))
    for own in ("task", "run", "request"):
        earlier[own] = composed[own]
    for override in OverridesParser.create().parse_overrides(overrides):
        key = override.key_or_group
        if not any(key == free or key.startswith(f"{free}.") for free in _FREE_WITH_RUN):
            raise ConfigError(
                "is fixed by the earlier run.", where=key, hint=f"With run= only these can change: {', '.join(_FREE_WITH_RUN)}."
            )
        OmegaConf.update(earlier, key, OmegaConf.select(composed, key), merge=False)
    return earlier


def compose(overrides: Sequence[str] = (), config_dir: str | Path | None = None) -> Config:
    """What the command line with these overrides would run.

    Args:
        overrides: such as "+experiment=jd_demo" or "seed=3".
        config_dir: a folder of the user's own configuration, as `--config-dir` names it.

    Raises:
        ConfigError: a group, key or value that does not exist or does not fit.
    """
    _prepare_yaml()
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.config_store import ConfigStore

    from jdrec import complaints

    ConfigStore.instance().store(name="schema_defaults", node=defaults())
    overrides = [*complaints.searched(config_dir), *overrides]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        try:
            return typed(hydra_compose("config", overrides=list(overrides)))
        except Exception as error:
            raise complaints.explain(error, overrides) or error from None


def typed(composed: Any) -> Config:
    """The schema-checked form of a composed OmegaConf container.

    Raises:
        ConfigError: with the YAML path of every mistake.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        values = OmegaConf.to_container(composed, resolve=True)
    except OmegaConfBaseException as error:
        from jdrec import complaints

        raise complaints.explain(error, []) or error from None
    assert isinstance(values, dict)
    values.pop("hydra", None)
    if values.pop("experiment", None):
        raise ConfigError(
            "what the file says would change nothing: it lies below the key 'experiment'.",
            where="experiment",
            hint="It must begin with the line # @package _global_, without a byte order mark before it.",
        )
    return load(values)  # type: ignore[arg-type]


def explain(error: BaseException) -> str | None:
    """One message for a mistake of the user; None for a bug."""
    if isinstance(error, FileExistsError | NotADirectoryError):  # jdrec's own would be a JdrecError: this is Hydra at its folder
        error = ConfigError(f"{error.filename} cannot be a folder: a file is in its place.", where="hydra.run.dir or hydra.sweep.dir")
    known = error if isinstance(error, JdrecError) else _from_system(error, {*_NOT_OURS, errno.ENOENT})
    if known is None:
        from jdrec import complaints

        known = complaints.explain(error)
    return f"error: {known}" if known is not None else None


_NOT_OURS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}


def _from_system(error: BaseException, reasons: Container[int | None] = _NOT_OURS) -> JdrecError | None:
    """A file that the system does not let us read or write: the user's to mend."""
    if isinstance(error, OSError) and error.errno in reasons:
        return JdrecError(f"{error.strerror}: {error.filename or 'no file named'}.", hint="Check permissions and free space.")
    return None

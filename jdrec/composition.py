"""Between Hydra and jdrec: compose the YAML, hand a typed `Config` to the pipeline, and put Hydra's errors into plain words."""

from __future__ import annotations

import errno
import logging
import math
import re
import shutil
import sys
from collections.abc import Container, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jdrec.config import Config, defaults, load
from jdrec.errors import ConfigError, JdrecError, MissingExtra, nearest
from jdrec.paths import CONF

log = logging.getLogger(__name__)


def run_with_hydra() -> None:
    """Reads the command line, composes, and runs the task once, or many times under -m.

    Raises:
        JdrecError: the job failed, or, after all the others have ended, some job of a multirun.
    """
    import yaml

    # OmegaConf's loader and dumper are built on what stands here: libyaml's do the same in C.
    yaml.SafeLoader, yaml.Dumper = getattr(yaml, "CSafeLoader", yaml.SafeLoader), getattr(yaml, "CDumper", yaml.Dumper)  # type: ignore[misc]
    import hydra
    from hydra._internal.hydra import Hydra
    from hydra.core.config_store import ConfigStore

    from jdrec import sweep
    from jdrec.sweep import features, plugins

    # -m alone decides on a multirun, where Hydra would compose everything once before only to look for hydra.mode.
    Hydra.get_mode = lambda self, config_name, overrides: None  # type: ignore[method-assign]
    failures: list[JdrecError] = []
    ConfigStore.instance().store(name="schema_defaults", node=defaults())
    features.register()
    plugins.register()
    job = partial(_job, failures=failures)
    hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(job)()
    if not failures and sweep.failed:  # of a launcher whose jobs run elsewhere
        failures.append(JdrecError(f"{len(sweep.failed)} jobs of the sweep failed; see {sweep.failed[0]}."))
    if failures:
        raise failures[0]


def _job(composed: Any, failures: list[JdrecError]) -> float | None:
    """One job. Its failure is kept rather than raised: Hydra would print its own words, and the other jobs of a sweep go on."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from jdrec import pipeline

    runtime = HydraConfig.get()
    folder, overrides = _shortest(Path(runtime.runtime.output_dir)), list(runtime.overrides.task)
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
        log.error("job %s failed: %s", runtime.job.num, failure)
        failure = JdrecError(f"job {runtime.job.num} of the sweep failed; its log is {folder / 'jdrec.log'}.")
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
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store(name="schema_defaults", node=defaults())
    own = [f"hydra.searchpath=[file://{Path(config_dir).resolve()}]"] if config_dir is not None else []
    with initialize_config_dir(str(CONF), version_base="1.3"):
        try:
            return typed(hydra_compose("config", overrides=[*own, *overrides]))
        except Exception as error:
            raise _from_hydra(error) or error from None


def typed(composed: Any) -> Config:
    """The schema-checked form of a composed OmegaConf container.

    Raises:
        ConfigError: with the YAML path of every mistake.
    """
    from omegaconf import OmegaConf

    values = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(values, dict)
    for group in ("hydra", "experiment"):
        values.pop(group, None)
    return load(values)  # type: ignore[arg-type]


def explain(error: BaseException) -> str | None:
    """One message for a mistake of the user; None for a bug."""
    known = error if isinstance(error, JdrecError) else _from_system(error, {*_NOT_OURS, errno.ENOENT}) or _from_hydra(error)
    return f"error: {known}" if known is not None else None


_NOT_OURS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}


def _from_system(error: BaseException, reasons: Container[int | None] = _NOT_OURS) -> JdrecError | None:
    """A file that the system does not let us read or write: the user's to mend."""
    if isinstance(error, OSError) and error.errno in reasons:
        return JdrecError(f"{error.strerror}: {error.filename or 'no file named'}.", hint="Check permissions and free space.")
    return None


def _from_hydra(error: BaseException) -> JdrecError | None:
    """Hydra's, OmegaConf's and YAML's complaints as a `ConfigError`."""
    import yaml
    from hydra.errors import HydraException
    from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException

    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark
        place = f"{mark.name}, line {mark.line + 1}, column {mark.column + 1}" if mark else None
        return ConfigError(f"not valid YAML: {error.problem}.", where=place)
    if isinstance(error, InterpolationKeyError):
        return ConfigError(str(error).splitlines()[0], where=error.full_key)
    if not isinstance(error, HydraException | OmegaConfBaseException):
        return None
    text = str(error)
    if match := re.search(r"Could not override '([^']+)'", text):
        return _unknown_override(match.group(1), text)
    if match := re.search(r"Could not find '([^']+)'", text):
        return _unknown_option(match.group(1), text)
    if match := re.search(r"parsing override '([^=']+)=.*Unknown function '([^']+)'", text, re.DOTALL):
        advice = f"Quote an expression: '{match.group(1)}=\"{match.group(2)}(...)\"'."
        return ConfigError(f"Hydra reads {match.group(2)}(...) as a function of its own.", where=match.group(1), hint=advice)
    if match := re.search(r"In '[^']+': (.*)", text):
        return ConfigError(match.group(1))
    return ConfigError(" ".join(line.strip() for line in text.splitlines() if line.strip())[:500])


def _unknown_override(key: str, text: str) -> ConfigError:
    from jdrec.config.errors import keys_at

    if "No match in the defaults list" in text:
        group = CONF / key
        advice = f"Write +{key}=NAME." if group.is_dir() else nearest(key, _groups())
        return ConfigError("is not in the defaults list.", where=key, hint=advice)
    if "@" in key:
        return ConfigError(
            "is not in the defaults list.", where=key, hint="The file that overrides it must begin with: # @package _global_"
        )
    *parents, name = key.split(".")
    valid = keys_at(Config, parents)
    if valid and name not in valid:
        return ConfigError(f"unknown key {name!r}.", where=key, hint=nearest(name, valid))
    part, known = _first_unknown(key)
    return ConfigError(
        f"{part!r} is not in the composed configuration.", where=key, hint=f"{known} To add it, write +{key}=VALUE.".lstrip()
    )


def _first_unknown(key: str) -> tuple[str, str]:
    """The first part of a path that is not there, and a hint at the names that are."""
    from omegaconf import DictConfig

    place: Any = _composed_without(key)
    for part in key.split("."):
        if not isinstance(place, DictConfig) or part not in place:
            return part, nearest(part, map(str, place)) if isinstance(place, DictConfig) else ""
        place = place[part]
    return key, ""


def _composed_without(key: str) -> Any:
    """What the command line composes without its override of `key`; None where that fails, too."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    arguments = iter(sys.argv[1:])
    overrides = []
    for argument in arguments:
        if argument in ("--config-dir", "-cd"):
            overrides.append(f"hydra.searchpath=[file://{Path(next(arguments)).resolve()}]")
        elif not argument.startswith("-") and argument.lstrip("+~").split("=")[0] != key:
            overrides.append(argument)
    try:
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("config", overrides=overrides)
    except Exception:  # this only looks for a better hint; the error to report is another one
        return None


def _unknown_option(choice: str, text: str) -> JdrecError:
    group, _, name = choice.rpartition("/")
    if name.startswith("submitit_"):
        return MissingExtra("hydra-submitit-launcher", "slurm", where=group)
    available = re.findall(r"^\t(\S+)$", text, re.MULTILINE)
    return ConfigError(f"there is no {name!r} in the group {group!r}.", hint=nearest(name, available or _groups()))


def _groups() -> list[str]:
    return sorted(place.name for place in CONF.iterdir() if place.is_dir() and place.name != "hydra")

"""The configuration of an earlier run, which an older jdrec may have written."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jdrec.config import Config, load
from jdrec.config.errors import keys_at
from jdrec.errors import ConfigError, StageError
from jdrec.tracking.runs import RunFolder, read_run

log = logging.getLogger(__name__)

# What a trained model stands on: a key that is not understood here may change what it is given. Others only say how something is done.
_OF_THE_MODEL = ("dataset", "features", "preprocess", "model")


def earlier_values(run: RunFolder) -> dict[str, Any]:
    """The run's configuration as plain containers that this version's schema takes: keys that came later have their defaults, keys that are no
    more are left out where they say nothing about the model.

    Raises:
        StageError: it cannot be read by this version.
    """
    values, unknown = without_unknown(run.record["config"])
    if unknown:
        log.debug("%s has keys that this version does not know: %s", run.folder, ", ".join(unknown))
    try:
        load(values)
    except ConfigError as error:
        version = ((run.record.get("environment") or {}).get("packages") or {}).get("jdrec")
        raise StageError(
            f"the configuration in {run.folder / 'run.json'} is not one of this version of jdrec"
            + (f" (it was written by {version})" if version else "")
            + f":\n{error}\n",
            where="run",
            hint="Run its experiment again, or use the version that wrote it.",
        ) from None
    return values


def earlier_config(folder: Path) -> Config:
    """The checked configuration of a run's folder.

    Raises:
        StageError: it is not the folder of a run, or not of a run that this version can read.
    """
    return load(earlier_values(read_run(folder)))


def without_unknown(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The values without the keys that the schema does not have and that say nothing about the model, and the paths of those."""
    unknown: list[str] = []
    return _known(values, [], unknown), unknown


def _known(values: Mapping[str, Any], path: list[str], unknown: list[str]) -> dict[str, Any]:
    valid = keys_at(Config, path)
    kept = {}
    for name, value in values.items():
        place = [*path, str(name)]
        if place[0] not in _OF_THE_MODEL and valid and name not in valid:
            unknown.append(".".join(place))
        elif place[0] in _OF_THE_MODEL or not isinstance(value, Mapping):
            kept[name] = value
        else:
            kept[name] = _known(value, place, unknown)
    return kept

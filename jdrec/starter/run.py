"""task=init: from a folder of tables to a configuration that passes check."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from jdrec.config import Config, InitConfig, load
from jdrec.errors import ConfigError, JdrecError
from jdrec.files import write_text
from jdrec.starter.guess import Guess, guess
from jdrec.starter.look import look
from jdrec.starter.write import texts


def init(config: InitConfig) -> None:
    """Looks at `init.folder` and writes dataset, features and experiment files below `init.out`.

    Raises:
        ConfigError: no folder is named, or a file is there already.
        DataError: there is nothing to make a configuration of.
    """
    if config.folder is None:
        raise ConfigError("it is not said which folder to look at.", where="init.folder", hint="Write init.folder=DIR.")
    folder = Path(config.folder)
    found = guess(look(folder))
    name = config.name or re.sub(r"\W", "_", folder.resolve().name).lower() or "mine"
    files = {Path(config.out) / place: text for place, text in texts(found, name, folder.resolve()).items()}
    there = [file for file in files if file.exists()]
    if there:
        raise ConfigError(f"{there[0]} is there already.", where="init.out", hint="Name another folder, or another init.name.")
    _check(files)
    for file, text in files.items():
        write_text(file, text)
    print(_summary(found, list(files), config.out, name))


def _check(files: dict[Path, str]) -> None:
    """What is written has to be right: the same checks that task=check makes.

    Raises:
        JdrecError: the guess does not hold; nothing was written.
    """
    from jdrec.dataset.tables import open_tables
    from jdrec.features import checks
    from jdrec.features.resolve import resolve

    sections = {file.parent.name: yaml.safe_load(text) for file, text in files.items() if file.parent.name != "experiment"}
    config: Config = load(sections)
    feature_set = resolve(config)
    open_tables(feature_set, Path(config.dataset.root), config.dataset.timezone)
    try:
        checks.check(feature_set)
    except JdrecError as error:
        raise JdrecError(f"the tables do not fit the starter's pattern: {error}") from None


def _summary(found: Guess, files: list[Path], out: str, name: str) -> str:
    count = sum(map(len, found.features.values()))
    lines = [
        f"{len(found.tables)} tables; a row of {found.request.name} is a request, {found.key} its key, {found.time} its time.",
        f"label: {found.label or 'none found'}; {len(found.joins)} joins, {len(found.windows)} windows, {count} features.",
        *(f"note: {note}." for note in found.notes),
        "",
        "written:",
        *(f"  {file}" for file in files),
        "",
        "next:",
        f"  python -m jdrec --config-dir {out} +experiment={name} task=check",
        f"  python -m jdrec --config-dir {out} +experiment={name}",
    ]
    return "\n".join(lines)

"""Shell completion of tasks, groups, keys and their values, for `jdrec` and `python -m jdrec`, in bash and zsh.

Hydra's own composes the configuration at every Tab, which takes a second, does not know `python -m`, and offers no values of keys. This one looks at
the folders of the configuration and at the schema.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from jdrec.errors import ConfigError, nearest
from jdrec.paths import CONF, TEMPLATES

FLAGS = ("--cfg", "--config-dir", "--help", "--hydra-help", "--info", "--multirun", "--shell-completion")
SHELLS = ("bash", "zsh")
_OWN_DIR = ("--config-dir", "-cd")


def run(request: str) -> str:
    """What `--shell-completion REQUEST` prints: the script of install=SHELL, or for query=SHELL the suggestions, one a line.

    Raises:
        ConfigError: a request of another kind.
    """
    action, _, shell = request.partition("=")
    if action not in ("install", "query") or shell not in SHELLS:
        raise ConfigError(f"{request!r} is neither install=SHELL nor query=SHELL.", where="--shell-completion", hint=nearest(shell, SHELLS))
    if action == "install":
        return (TEMPLATES / "completion" / f"jdrec.{shell}").read_text(encoding="utf-8")
    line = os.environ.get("COMP_LINE", "")
    words = line.split()
    current = words.pop() if words and not line.endswith(" ") else ""
    return "".join(f"{item}\n" for item in suggestions(words, current))


def suggestions(words: Sequence[str], current: str) -> list[str]:
    """What can stand in place of the word that is being typed.

    Args:
        words: those before it. current: as far as it is typed; may be empty.
    """
    if words and words[-1] in _OWN_DIR:
        return []  # the shell knows folders
    if current.startswith("-"):
        return [flag for flag in FLAGS if flag.startswith(current)]
    bare = current.lstrip("+~")
    sign = current[: len(current) - len(bare)]
    folders = [CONF, *(Path(folder) for flag, folder in pairwise(words) if flag in _OWN_DIR)]
    key, equals, value = bare.partition("=")
    if equals:
        *before, last = value.split(",")  # of a sweep
        start = f"{sign}{key}=" + "".join(f"{one}," for one in before)
        return [start + option for option in _values(key, folders) if option.startswith(last)]
    found = [name for name in _groups(folders, sign) if name.lstrip("+").startswith(bare)]
    return [sign + name for name in found] + [sign + name for name in _keys(bare)]


def _values(key: str, folders: Sequence[Path]) -> list[str]:
    """Options of a group, or the values that a key takes where they can be told."""
    from jdrec.config import Config
    from jdrec.config.errors import choices_at

    options = {file.stem for folder in folders for file in (folder / key).glob("*.yaml")}
    return sorted(options) or choices_at(Config, key.split("."))


def _groups(folders: Sequence[Path], sign: str) -> list[str]:
    """Groups with their "="; those outside of the defaults list, which need a "+", are offered with it alone."""
    files = (file.parent.relative_to(folder).as_posix() for folder in folders for file in folder.glob("*/**/*.yaml"))
    names = sorted({name for name in files if not name.endswith("logging")})
    listed = _in_defaults_list()
    return [f"{name}=" if sign or name in listed else f"+{name}=" for name in names]


def _in_defaults_list() -> set[str]:
    text = (CONF / "config.yaml").read_text(encoding="utf-8")
    head = text.partition("defaults:")[2].partition("\n\n")[0]
    listed = {line.strip(" -").partition(":")[0] for line in head.splitlines()}
    return listed | {"hydra/launcher", "hydra/sweeper"}


def _keys(typed: str) -> list[str]:
    """Keys at the level that is being typed: sections with a dot, others with "="."""
    from jdrec.config import Config
    from jdrec.config.errors import keys_at

    *path, last = typed.split(".")
    found = []
    for name in keys_at(Config, path):
        if name.startswith(last):
            whole = ".".join([*path, name])
            found.append(f"{whole}." if keys_at(Config, [*path, name]) else f"{whole}=")
    return found

"""What Hydra, OmegaConf and YAML say of a configuration that they cannot compose, in plain words: where, what is wrong, what to write instead."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from jdrec.config import Config, Task
from jdrec.config.errors import first_wrong, leaves
from jdrec.errors import ConfigError, JdrecError, MissingExtra, nearest
from jdrec.paths import CONF

_FOLDERS = ("hydra.run.dir", "hydra.sweep.dir")


def explain(error: BaseException, overrides: Sequence[str] | None = None) -> JdrecError | None:
    """The complaint as a `ConfigError`; None for an error of another kind.

    Args:
        overrides: what was composed; by default those of the command line.
    """
    import yaml
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark
        place = f"{mark.name}, line {mark.line + 1}, column {mark.column + 1}" if mark else None
        return ConfigError(f"not valid YAML: {error.problem}.", where=place)
    theirs = isinstance(error, HydraException | OmegaConfBaseException)
    if _raised_by_us(error) or (not theirs and not _raised_by_hydra(error)):
        return None
    if isinstance(error, UnicodeDecodeError):
        return ConfigError("is not a text in UTF-8.", where=_file_being_read(error))
    if overrides is None:
        from hydra._internal.utils import get_args_parser

        known = get_args_parser().parse_known_args(sys.argv[1:])[0]
        overrides = [*known.overrides, *searched(known.config_dir)]
    return next(_wrong_overrides(overrides), None) or _by_words(error, str(error), overrides)


def searched(config_dir: str | Path | None) -> list[str]:
    """A folder of the user's own configuration as an override."""
    return [f"hydra.searchpath=[file://{Path(config_dir).resolve()}]"] if config_dir is not None else []


def arranged(arguments: Sequence[str]) -> list[str]:
    """The command line as Hydra's parser takes it: with switches before overrides.

    Raises:
        ConfigError: a switch that there is not, or one without its value.
    """
    if not any(argument.startswith("-") for argument in arguments) or "--" in arguments:
        return list(arguments)
    from hydra._internal.utils import get_args_parser

    def refuse(message: str) -> None:
        raise ConfigError(f"{message}.", hint="python -m jdrec --help shows what there is.")

    parser = get_args_parser()
    parser.error = refuse  # type: ignore[method-assign,assignment]
    known, rest = parser.parse_known_args(list(arguments))
    for switch in rest:
        if switch.startswith("-"):
            options = [option for action in parser._actions for option in action.option_strings if option.startswith("--")]
            raise ConfigError("there is no such switch.", where=switch, hint=nearest(switch, options))
    if not rest:
        return list(arguments)
    switches = list(arguments)
    for override in (*known.overrides, *rest):
        switches.remove(override)
    return [*switches, *known.overrides, *rest]


def require_folders(overrides: Sequence[str]) -> None:
    """Refuses the empty name of a folder, which an unset variable of the shell gives: all files would go into the working folder."""
    for name in _FOLDERS:
        if f"{name}=" in overrides:
            raise ConfigError("is empty.", where=name, hint="For the working folder write a dot.")


# --- overrides that cannot be right -----------------------------------------------------------------------------------------


def _wrong_overrides(overrides: Sequence[str]) -> Iterator[ConfigError]:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    for text in overrides:
        try:
            override = parser.parse_override(text)
        except HydraException as error:
            yield _unreadable(text, str(error))
            continue
        key = override.key_or_group
        if not key:
            yield ConfigError("there is no key before the '='.", where=text)
        elif (CONF / key).is_dir() and override.package is None and not override.is_delete():
            if not override.is_sweep_override() and not isinstance(override.value(), str | list):
                yield ConfigError(f"{override.get_value_element_as_str()!r} is no option.", where=key, hint=nearest("", _options(key)))
        elif override.package is not None or "/" in key or key.startswith("hydra.") or (override.is_add() and "." not in key):
            continue  # Hydra's own, or a group of the user's
        elif (wrong := _unknown(key)) is not None:
            yield wrong


def _unknown(key: str) -> ConfigError | None:
    """What is wrong with a key by the schema alone."""
    parts = key.split(".")
    wrong = first_wrong(Config, parts)
    if wrong is None:
        return None
    place, valid = wrong
    if valid:
        return ConfigError(f"unknown key {parts[place]!r}.", where=key, hint=nearest(parts[place], valid))
    holder = ".".join(parts[:place])
    others = [name for name in (*leaves(Config), *_FOLDERS) if name != holder]
    close = nearest(key, others)
    return ConfigError(f"{holder!r} holds a value and has no keys.", where=key, hint=close if close.startswith("Did") else None)


def _unreadable(text: str, said: str) -> ConfigError:
    """An override that Hydra's grammar does not take."""
    key, equals, value = text.partition("=")
    name = key.lstrip("+~")
    if not text.strip():
        return ConfigError("an argument is empty.", hint="Is a variable of the shell unset?")
    if not equals:
        if name in get_args(Task):
            return ConfigError("there is no '='.", where=text, hint=f"Write task={name}.")
        wrong = None if (CONF / name).is_dir() else _unknown(name)
        return wrong or ConfigError("there is no '='.", where=text, hint=f"Write {text}=VALUE.")
    if not name:
        return ConfigError("there is no key before the '='.", where=text)
    if "[" in key:
        return ConfigError("a key has no brackets.", where=key, hint="An item of a list is KEY.0=VALUE.")
    if match := re.search(r"Unknown function '([^']+)'", said):
        function = match.group(1)
        advice = f"Quote an expression: '{key}=\"{function}(...)\"'."
        return ConfigError(f"Hydra reads {function}(...) as a function of its own.", where=key, hint=advice)
    if re.search(r"\s[\w.+~/@]+=", value) and value[:1] not in "\"'":
        return ConfigError("these are several overrides in one.", where=text, hint="Leave a space between them outside of the quotes.")
    if any(value.count(quote) % 2 for quote in "\"'"):
        return ConfigError(f"a quote is not closed in {value}", where=key)
    if any(value.count(opening) != value.count(closing) for opening, closing in ("[]", "{}", "()")):
        return ConfigError(f"a bracket is not closed in {value}", where=key)
    return ConfigError(f"{value} cannot be read.", where=key, hint=f"Quote what has special characters: '{key}=\"...\"'.")


# --- Hydra's own words ------------------------------------------------------------------------------------------------------


def _by_words(error: BaseException, text: str, overrides: Sequence[str]) -> JdrecError:
    first = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    key = getattr(error, "full_key", None)
    if match := re.search(r"(?:Could not override|Could not delete|does not exist|delete from config\.) '([^']+)'", text):
        return _not_there(match.group(1).partition("=")[0], text, overrides)
    if match := re.search(r"An item is already at '([^']+)'|Multiple values for ([^ .]+)", text):
        there = match.group(1) or match.group(2)
        return ConfigError("is there already.", where=there, hint=f"Write {there}=VALUE, without the +.")
    if match := re.search(r"Could not find '([^']+)'", text):
        return _unknown_option(match.group(1), text)
    if match := re.search(r"Ambiguous value for argument '([^=]+)=(.*)'", text):
        name, values = match.groups()
        advice = f"A list is {name}=[{values}], a text with commas '{name}=\"{values}\"'; a sweep over them takes -m."
        return ConfigError(f"{values} are several values.", where=name, hint=advice)
    if match := re.search(r"Error merging override ([^=]+)=(.*)", text):
        why = str(error.__cause__ or "").splitlines()
        return ConfigError(f"{match.group(2)} does not fit{f': {why[0]}' if why else ''}.", where=match.group(1).lstrip("+"))
    if match := re.search(r"Could not load '([^']+)'", text):
        return ConfigError(f"a defaults list names {match.group(1)!r}, which is not there.")
    if match := re.search(r"Additional config directory '([^']+)' not found|path=(\S+) is not available", text):
        return ConfigError(f"there is no folder {match.group(1) or match.group(2)}.", where="--config-dir" if match.group(1) else None)
    if match := re.search(r"primary config '([^']+)'", text):
        return ConfigError(f"there is no {match.group(1)}.yaml.", where="--config-name", hint="Leave it out: jdrec's is config.")
    if match := re.search(r"In '[^']+': (.*)", text):
        return ConfigError(match.group(1))
    if match := re.search(r"raised while resolving interpolation: \"?(.*?)\"?$", first):
        return ConfigError(f"{match.group(1)}.", where=key)
    if isinstance(error, RecursionError) or "recursion" in text.lower():
        return ConfigError("the configuration contains itself.", where=key)
    if key:
        return ConfigError(f"{first}.", where=key)
    return ConfigError(" ".join(line.strip() for line in text.splitlines() if line.strip())[:500])


def _not_there(key: str, text: str, overrides: Sequence[str]) -> ConfigError:
    if "No match in the defaults list" in text or "@" in key:
        return _no_group(key)
    if (wrong := _unknown(key)) is not None and not key.startswith("hydra."):
        return wrong
    part, known = _first_missing(key, overrides)
    advice = "" if "delete" in text or key.startswith("hydra.") else f"To add it, write +{key}=VALUE."
    return ConfigError(f"{part!r} is not in the composed configuration.", where=key, hint=f"{known} {advice}".strip())


def _no_group(key: str) -> ConfigError:
    if "@" in key:
        advice = "The file that overrides it must begin with: # @package _global_"
    else:
        advice = f"Write +{key}=NAME." if (CONF / key).is_dir() else nearest(key, _groups())
    return ConfigError("is not in the defaults list.", where=key, hint=advice)


def _first_missing(key: str, overrides: Sequence[str]) -> tuple[str, str]:
    """The first part of a path that is not there, and a hint at the names that are."""
    from omegaconf import DictConfig

    place: Any = _composed_without(key, overrides)
    for part in key.split("."):
        if not isinstance(place, DictConfig) or part not in place:
            return part, nearest(part, map(str, place)) if isinstance(place, DictConfig) else ""
        place = place._get_node(part)
    return key, ""


def _composed_without(key: str, overrides: Sequence[str]) -> Any:
    """What is composed without the override of `key`; None where that fails, too."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    others = [override for override in overrides if override.lstrip("+~").split("=")[0] != key]
    try:
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("config", overrides=others, return_hydra_config=key.startswith("hydra."))
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


def _options(group: str) -> list[str]:
    return sorted(file.stem for file in (CONF / group).glob("*.yaml"))


# --- where an error comes from ----------------------------------------------------------------------------------------------


def _raised_by_us(error: BaseException) -> bool:
    """Whether it comes out of jdrec's own code, as a resolver's that OmegaConf calls, and is no complaint of jdrec's."""
    return _packages(error)[-1:] == ["jdrec"] and not any(isinstance(one, JdrecError) for one in _chain(error))


def _raised_by_hydra(error: BaseException) -> bool:
    """Whether Hydra or OmegaConf raised it and none of ours that they called was on the way: what they were given is wrong."""
    packages = _packages(error)
    theirs = [package in ("hydra", "omegaconf") for package in packages]
    known = isinstance(error, ValueError | TypeError | AttributeError | RecursionError | UserWarning)
    return known and any(theirs) and all(theirs[theirs.index(True) :])


def _packages(error: BaseException) -> list[str]:
    """Of Hydra, its plugins, OmegaConf and jdrec: to whom each frame belongs, the deepest last. Reading YAML is OmegaConf's, with jdrec's loader."""
    names = [str(frame.f_globals.get("__name__", "")) for frame in _frames(error) if frame.f_code.co_name != "construct_document"]
    return [
        package for package in (name.partition(".")[0] for name in names) if package in ("hydra", "hydra_plugins", "omegaconf", "jdrec")
    ]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _file_being_read(error: BaseException) -> str | None:
    found = [frame.f_locals.get("full_path") for frame in _frames(error) if frame.f_code.co_name == "load_config"]
    return next((str(path) for path in reversed(found) if path), None)


def _frames(error: BaseException) -> Iterator[Any]:
    trace = error.__traceback__
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next

"""Short forms: one entry of the YAML that stands for a product of windows, columns and functions; and which features are kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from jdrec.errors import CheckError, nearest

if TYPE_CHECKING:
    from jdrec.config import FeatureConfig

_WORD = re.compile(r"\w+", re.ASCII)
_PLACEHOLDER = re.compile(r"\{(\w*)\}", re.ASCII)
_COLUMN = "{column}"


@dataclass(frozen=True)
class Entry:
    """One feature's definition. `group` is the entry that it was expanded from, `over` its only window."""

    name: str
    config: FeatureConfig
    expr: str
    over: str | None
    group: str | None = None

    @property
    def path(self) -> str:
        return f"features.features.{self.group}[{self.name}]" if self.group else f"features.features.{self.name}"


def expand(name: str, config: FeatureConfig) -> list[Entry]:
    """The features that an entry stands for: itself, or windows x columns x functions in this order, the last changing first.

    Raises:
        CheckError: the entry has neither an expression nor a short form, or a mixture that has no meaning.
    """
    where = f"features.features.{name}"
    windows = [config.over] if isinstance(config.over, str) else list(config.over or [])
    columns = [config.columns] if isinstance(config.columns, str) else list(config.columns)
    functions = _functions(name, config, columns)
    if not columns and not functions and config.expr is None:
        raise CheckError("it has no expr (or columns and functions, the short form).", where=where)
    if not columns and not config.functions and (config.over is None or isinstance(config.over, str)):
        if config.name is not None:
            raise CheckError("name is for short forms; this feature is called what its entry is.", where=f"{where}.name")
        assert config.expr is not None
        return [Entry(name, config, config.expr, config.over)]
    if config.expr is not None and config.functions:
        raise CheckError("an entry has expr or functions, not both.", where=where)
    if not windows and config.over is not None:
        raise CheckError("it names no window.", where=f"{where}.over")
    if windows and columns and not functions:
        raise CheckError("over a window, columns need functions.", where=where)
    every_window: list[str | None] = [*windows] or [None]
    every_column: list[str | None] = [*columns] or [None]
    every_function: list[tuple[str | None, str]] = [*functions] or [(None, _COLUMN)]
    found = []
    for window in every_window:
        for column in every_column:
            for function, text in every_function:
                parts = {"window": window, "from": config.join, "column": column, "function": function, "group": name}
                called = _name(config.name, parts, where)
                found.append(Entry(called, config, text.replace(_COLUMN, column or ""), window, name))
    return found


def _functions(name: str, config: FeatureConfig, columns: list[str]) -> list[tuple[str, str]]:
    """(name, expression) of each function, with {column} where the column goes."""
    where = f"features.features.{name}.functions"
    written = config.functions
    if isinstance(written, str):
        written = [written]
    if not written:
        return [(name, config.expr)] if config.expr is not None else []
    named = written.items() if isinstance(written, dict) else [(_called(text), text) for text in written]
    found = []
    for called, text in named:
        if _WORD.fullmatch(text):
            text = f"{text}({_COLUMN})"
        if bool(columns) != (_COLUMN in text):
            message = f"{text!r} does not say where the column goes: write {{column}} there." if columns else f"{text!r} needs columns."
            raise CheckError(message, where=where)
        found.append((called, text))
    return found


def _called(text: str) -> str:
    """The name of a function: distinct_count, topn_frequency_3 for "topn_frequency({column}, 3)"."""
    return "_".join(_WORD.findall(text.replace(_COLUMN, "")))


def _name(pattern: str | None, parts: dict[str, str | None], where: str) -> str:
    """A feature's name: by the pattern, or its window or join, column and function joined by _."""
    plain = {key: value.replace(".", "_") for key, value in parts.items() if value is not None}
    if pattern is None:
        return "_".join(plain[key] for key in ("window", "from", "column", "function") if key in plain)
    for key in _PLACEHOLDER.findall(pattern):
        if key not in plain:
            message = f"there is no {{{key}}} here."
            raise CheckError(message, where=f"{where}.name", hint=nearest(key, plain))
    return _PLACEHOLDER.sub(lambda match: plain[match[1]], pattern)


def match(patterns: str | list[str], names: list[str], where: str) -> set[str]:
    """The names that any of the patterns matches.

    Raises:
        CheckError: a pattern matches nothing.
    """
    found: set[str] = set()
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        matched = {name for name in names if fnmatchcase(name, pattern)}
        if not matched:
            raise CheckError(f"{pattern!r} matches no feature.", where=where, hint=nearest(pattern, names))
        found |= matched
    return found

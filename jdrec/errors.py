"""One class a failure. A `JdrecError` is shown as one clear message, never a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class JdrecError(Exception):
    """A failure with a known cause; the command line prints it and exits with code 1.

    Args:
        message: what is wrong, naming the offending value.
        where: the place in the configuration, as a YAML path ("features.windows.user_10.rows"), or a file.
        hint: what to do about it, e.g. the nearest valid name.
    """

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None):
        super().__init__(message)
        self.message, self.where, self.hint = message, where, hint

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f" {self.hint}" if self.hint else ""
        return f"{place}{self.message}{advice}"


class ConfigError(JdrecError):
    """The configuration is not valid by itself."""


class ConfigErrors(ConfigError):
    """Several mistakes found in one pass; each is a `JdrecError` of its own."""

    def __init__(self, errors: Iterable[JdrecError]):
        self.errors = list(errors)
        super().__init__("\n".join(str(error) for error in self.errors))


class ExpressionError(ConfigError):
    """An expression of the feature language does not parse or does not type.

    Args:
        column: where in the expression's text, counted from 1.
    """

    def __init__(self, message: str, *, column: int | None = None, where: str | None = None, hint: str | None = None):
        super().__init__(f"column {column}: {message}" if column else message, where=where, hint=hint)
        self.column, self.reason = column, message


class TemplateError(ConfigError):
    """A template cannot be rendered; `where` is its file and line."""


class CheckError(ConfigError):
    """A feature set that parses but cannot be right, or that an engine cannot run."""


class CompilerError(CheckError):
    """OpenMLDB's own compiler refuses the rendered SQL."""


class DataError(JdrecError):
    """Input data are missing, unreadable or not what the configuration declares."""


class StageError(JdrecError):
    """A stage cannot run: an earlier result is missing or does not fit."""


class EngineError(JdrecError):
    """An engine that computes features cannot start, or fails at its work."""


class DifferenceError(JdrecError):
    """Two engines give different values for the same input."""


class TrainingError(JdrecError):
    """Training cannot start or has to stop."""


class ServingError(JdrecError):
    """A server cannot be started, reached or understood."""


class OnlineError(JdrecError):
    """The online store cannot be opened, or cannot take a row.

    Args:
        kind: "disk" (full, or failing), "memory" (full), "damage" (what was stored cannot be read) or "mismatch" (stored for other tables).
    """

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None, kind: str = "disk"):
        super().__init__(message, where=where, hint=hint)
        self.kind = kind


class MissingExtra(JdrecError):
    """An optional component is not installed."""

    def __init__(self, component: str, extra: str, *, where: str | None = None):
        super().__init__(f"{component} is not installed.", where=where, hint=f"Install it with: pip install 'jdrec[{extra}]'")


def nearest(name: object, valid: Iterable[object]) -> str:
    """A hint that names the closest valid name, or lists the valid ones: `Did you mean 'rows'?`"""
    names = [str(item) for item in valid]
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]!r}?"
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"Valid: {shown}." if names else "There is none."

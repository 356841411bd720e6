"""Asks OpenMLDB's own SQL compiler whether a feature query is valid, offline (batch) and deployed (request mode).

It is the compiler inside the openmldb wheel; no cluster is needed. Some queries crash it, so it runs in a child process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from jdrec.errors import CompilerError, MissingExtra
from jdrec.features.spec import Feature, FeatureSet
from jdrec.features.sql import query
from jdrec.features.types import SqlType

VERSION = "0.9"  # the dialect of the wheel's compiler
TIMEOUT_S = 120.0

_MODES = {"batch": "offline (batch mode)", "request": "as a deployment (request mode)"}
_LONGEST_MESSAGE = 300
_MOST_TOGETHER = 4


@dataclass(frozen=True)
class Compiled:
    """What the compiler says about a query: its output columns, and CREATE TABLE statements with the indexes that it needs.

    It tells neither of a query that is for batch mode alone: columns is None then.
    """

    columns: tuple[tuple[str, SqlType], ...] | None
    ddl: tuple[str, ...]


def check(feature_set: FeatureSet, *, deployable: bool = True, timeout_s: float = TIMEOUT_S) -> Compiled:
    """Compiles the feature set's query and compares the output columns with the features.

    Args:
        deployable: whether request mode has to take it too.

    Raises:
        CompilerError: the query is refused, or crashes the compiler; `where` is the feature, if one of them alone is to blame.
        MissingExtra: the openmldb wheel is not installed.
    """
    try:
        compiled = check_sql(feature_set, query(feature_set, VERSION), deployable=deployable, timeout_s=timeout_s)
    except CompilerError as error:
        raise _blame(feature_set, deployable, timeout_s) or error from None
    _check_columns(feature_set, compiled, timeout_s)
    return compiled


def _check_columns(feature_set: FeatureSet, compiled: Compiled, timeout_s: float) -> None:
    """Compares the output columns with the features; block by block where they are not told of the whole."""
    if compiled.columns is None:
        parts = [replace(feature_set, blocks=(block,)) for block in feature_set.blocks]
        if len(parts) > 1:
            for part, answer in zip(
                parts, answers(feature_set, [query(part, VERSION) for part in parts], timeout_s, deployable=False), strict=True
            ):
                if not answer.get("refused"):
                    _check_columns(part, _compiled(answer), timeout_s)
        return
    for feature, (name, type_) in zip(feature_set.features, compiled.columns, strict=True):
        if feature.name != name or feature.type is not type_:
            message = f"it is {feature.type.value} here, but OpenMLDB's compiler makes {name} a {type_.value}."
            raise CompilerError(message, where=feature.path)


def check_sql(feature_set: FeatureSet, sql: str, *, deployable: bool = True, timeout_s: float = TIMEOUT_S) -> Compiled:
    """Compiles one query over the feature set's tables, in batch mode and, if it is to be deployable, in request mode.

    Raises:
        CompilerError: with the compiler's message.
        MissingExtra: the openmldb wheel is not installed.
    """
    answer = next(answers(feature_set, [sql], timeout_s, deployable=deployable))
    if answer.get("refused"):
        raise CompilerError(_refusal(answer))
    return _compiled(answer)


def _compiled(answer: dict[str, Any]) -> Compiled:
    columns = answer["columns"]
    return Compiled(None if columns is None else tuple((name, SqlType(type_)) for name, type_ in columns), tuple(answer["ddl"]))


def _blame(feature_set: FeatureSet, deployable: bool, timeout_s: float) -> CompilerError | None:
    """The error of the first feature that is refused on its own."""
    alone = [(feature, _only(feature_set, [feature])) for feature in feature_set.features if not feature.is_block_key]
    replies = answers(feature_set, [query(only, VERSION) for _, only in alone], timeout_s, deployable=deployable)
    for feature, _ in alone:
        try:
            answer = next(replies)
        except CompilerError as error:
            return CompilerError(error.message, where=feature.path)
        if answer.get("refused"):
            return CompilerError(_refusal(answer), where=feature.path)
    return _blame_together(feature_set, [feature for feature, _ in alone], deployable, timeout_s)


def _blame_together(feature_set: FeatureSet, features: list[Feature], deployable: bool, timeout_s: float) -> CompilerError | None:
    """The error of a few features that are refused only together: none of them can be left out."""

    def refused(some: list[Feature]) -> str | None:
        try:
            answer = next(answers(feature_set, [query(_only(feature_set, some), VERSION)], timeout_s, deployable=deployable))
        except CompilerError as error:
            return error.message
        return _refusal(answer) if answer.get("refused") else None

    if refused(features) is None:
        return None
    needed: list[Feature] = []
    while features and len(needed) < _MOST_TOGETHER:
        few, many = 0, len(features)  # the first `many` are refused beside the needed ones, the first `few` are not
        while many - few > 1:
            half = (few + many) // 2
            few, many = (few, half) if refused([*features[:half], *needed]) else (half, many)
        needed, features = [features[many - 1], *needed], features[: many - 1]
        if message := refused(needed):
            others = " and ".join(feature.path for feature in needed[1:])
            return CompilerError(f"{message.rstrip('.')}. It takes it without {others}.", where=needed[0].path)
    return None


def _only(feature_set: FeatureSet, features: list[Feature]) -> FeatureSet:
    """The feature set with some of its features, in their blocks."""
    names = {feature.name for feature in features}
    parts = [replace(block, features=(block.features[0], *(f for f in block.features if f.name in names))) for block in feature_set.blocks]
    return replace(feature_set, blocks=tuple(part for part in parts if len(part.features) > 1))


def _refusal(answer: dict[str, Any]) -> str:
    message = " ".join(answer["message"].strip().splitlines()[0].split())
    if len(message) > _LONGEST_MESSAGE:
        message = message[: _LONGEST_MESSAGE - 3] + "..."
    return f"OpenMLDB's compiler refuses it {_MODES[answer['refused']]}: {message}"


def answers(
    feature_set: FeatureSet, queries: list[str], timeout_s: float = TIMEOUT_S, *, deployable: bool = True
) -> Iterator[dict[str, Any]]:
    """The compiler's raw answers, one a query, from one child process.

    Yields:
        {"columns": [[name, type], ...], "ddl": [...]}, or {"refused": "batch" or "request", "message": ...}.

    Raises:
        CompilerError: the process died over the query at hand, or ran out of time.
        MissingExtra: the openmldb wheel is not installed.
    """
    question = {
        "database": feature_set.database,
        "tables": {name: [(column, type_.value) for column, type_ in table.columns.items()] for name, table in feature_set.tables.items()},
        "queries": queries,
        "modes": ["batch", "request"] if deployable else ["batch"],
    }
    command = [sys.executable, "-m", "jdrec.features.compiler_worker"]
    folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
    try:
        done = subprocess.run(
            command,
            input=json.dumps(question),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env={**os.environ, "PYTHONPATH": path},
            check=False,
        )
        output, end = done.stdout, done.returncode
    except subprocess.TimeoutExpired as error:
        output, end = error.stdout.decode() if isinstance(error.stdout, bytes) else error.stdout or "", None
    lines = [json.loads(line) for line in output.splitlines()]
    if lines and "missing" in lines[0]:
        raise MissingExtra(f"OpenMLDB's compiler ({lines[0]['missing']})", "openmldb")
    yield from lines
    if len(lines) < len(queries):
        if end is None:
            raise CompilerError(f"OpenMLDB's compiler gave no answer within {timeout_s:g} s.")
        how = f"signal {-end}" if end < 0 else f"exit code {end}"
        raise CompilerError(f"OpenMLDB's compiler crashed on this query ({how}).")

"""Writes docs/functions.md: every function, from the registry. `python scripts/functions.py [--check]`.

Which engines have a function is not written down anywhere: the embedded engine is asked to plan calls of it.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from jdrec.config import load
from jdrec.engines.embedded.planner import make_plan
from jdrec.errors import CheckError, ExpressionError
from jdrec.features.functions import FAMILIES, FUNCTIONS, Function
from jdrec.features.functions.examples import examples
from jdrec.features.functions.rules import ANY, CALENDAR, CLOCK, INTEGERS, NUMBERS, ORDERED, Argument
from jdrec.features.resolve import resolve
from jdrec.features.scope import Rows, Scope
from jdrec.features.spec import FeatureSet
from jdrec.features.types import SqlType

TARGET = Path(__file__).resolve().parent.parent / "docs" / "functions.md"
HEADER = """# Functions

Every function of the feature language, made from the registry in `jdrec/features/functions` by `python scripts/functions.py`. The types and results
are those of OpenMLDB's own compiler, which a test asks about every one of them. A name that is not here is an error with the nearest one that is;
for what OpenMLDB has besides, see [openmldb_only](features.md#sql-of-your-own).

- *x* and the other arguments are expressions, unless it says column; *n*, *alpha* are numbers written out; *condition* is evaluated for each row of the window.
- A *number* is a smallint, int, bigint, float or double; *any* value is that, or a bool, string, date or timestamp.
- Engines: where it says *all*, embedded, Spark and cluster have it; *OpenMLDB*: Spark (`engine=spark`) and cluster (`engine=openmldb`); *partly*: the embedded
  engine has it for some types, and says so at `task=check` of the others.
- From: the first version of OpenMLDB that has it, if 0.6.0 has it not.
"""

_TYPES = {
    ANY: "any",
    tuple(type_ for type_ in ANY if type_ is not SqlType.BOOL): "any but bool",
    NUMBERS: "number",
    INTEGERS: "integer",
    ORDERED: "any but bool",
    CALENDAR: "bigint (ms), date, timestamp",
    CLOCK: "bigint (ms), timestamp",
}
_WINDOWS = ("Counts and frequencies", "Statistics of numbers", "Under a condition", "By place", "By category")


def page() -> str:
    """The text of docs/functions.md."""
    engines = _engines()
    text = HEADER
    for family, functions in FAMILIES.items():
        kind = "over the rows of a window" if family in _WINDOWS else "of one row"
        text += f"\n## {family}, {kind}\n\n| function | arguments | result | NULL | engines | from | |\n|---|---|---|---|---|---|---|\n"
        for function in functions:
            names = f"`{function.signature}`" + "".join(f", `{alias}`" for alias in function.aliases)
            cells = [
                names,
                _arguments(function),
                _result(function),
                function.nulls,
                engines[function.name],
                function.since or "",
                function.doc,
            ]
            text += f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"
    return text


def _arguments(function: Function) -> str:
    return "; ".join(f"{rule.name}: {_what(rule)}" for rule in function.args)


def _what(rule: Argument) -> str:
    if rule.strings:
        return "a split"
    if rule.constant:
        most = f" to {rule.most}" if rule.most is not None else " or more"
        return "not 0" if rule.least is None else f"{rule.least}{most}"
    types = _TYPES.get(rule.types) or ", ".join(type_.value for type_ in rule.types)
    return types + (" column" if rule.column else "") + (" or *" if rule.star else "")


def _result(function: Function) -> str:
    """The result's type, by the arguments' where it hangs on them."""
    if function.gives_strings:
        return "list of strings"
    if not callable(function.result):
        return function.result.value
    return " ".join((function.result.__doc__ or "").split()).rstrip(".").lower()


def _engines() -> dict[str, str]:
    """For each function: all, partly or OpenMLDB."""
    types = {f"c_{type_.value}": type_.value for type_ in SqlType}
    features = {
        f"{name}_{n}": {"expr": text, **({"over": "w"} if function.is_aggregate else {})}
        for name, function in FUNCTIONS.items()
        if not function.gives_strings
        for n, text in enumerate(filter(_types, examples(function)))
    }
    split = {name: f"size({examples(function)[0]})" for name, function in FUNCTIONS.items() if function.gives_strings}
    features |= {f"{name}_0": {"expr": text} for name, text in split.items()}
    feature_set = resolve(
        load(
            {
                "dataset": {
                    "root": ".",
                    "database": "db",
                    "tables": {"t": {"path": "t", "time": "time", "columns": {"id": "string", "time": "timestamp", **types}}},
                },
                "features": {
                    "request": {"table": "t", "key": "id", "time": "time"},
                    "windows": {"w": {"partition_by": "id", "range": "7d"}},
                    "features": features,
                },
            }
        )
    )
    planned = {name: _planned(feature_set) for name, feature_set in _one_by_one(feature_set)}
    result = {}
    for name in FUNCTIONS:
        answers = [answer for feature, answer in planned.items() if feature.rpartition("_")[0] == name]
        result[name] = "all" if all(answers) else "partly" if any(answers) else "OpenMLDB"
    return result


def _types(text: str) -> bool:
    """Whether the arguments go together."""
    columns = {f"c_{type_.value}": type_ for type_ in SqlType}
    try:
        Scope(Rows("t", columns)).parse(text, windowed=True)
    except ExpressionError:
        return False
    return True


def _one_by_one(feature_set: FeatureSet) -> list[tuple[str, FeatureSet]]:
    (block,) = feature_set.blocks
    return [
        (feature.name, replace(feature_set, blocks=(replace(block, features=(feature,)),)))
        for feature in block.features
        if not feature.is_block_key
    ]


def _planned(feature_set: FeatureSet) -> bool:
    """Whether the embedded engine takes it."""
    try:
        make_plan(feature_set)
    except CheckError:
        return False
    return True


if __name__ == "__main__":
    if "--check" in sys.argv:
        up_to_date = TARGET.read_text(encoding="utf-8") == page()
        sys.exit(0 if up_to_date else "docs/functions.md is out of date: run python scripts/functions.py")
    TARGET.write_text(page(), encoding="utf-8")

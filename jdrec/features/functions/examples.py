"""Calls of a registry entry over columns c_bool, c_smallint ... of every type, for tests and for the reference page."""

from __future__ import annotations

import itertools

from jdrec.features.functions.rules import Argument, Function, T

_MOST_TOGETHER = 100  # combinations of types; above that, types vary in one place at a time


def example(function: Function) -> str:
    """One call, of the types that every engine has first."""
    return _call(function, tuple(_choices(rule)[-1] if rule.constant else _preferred(rule) for rule in function.args))


def examples(function: Function) -> list[str]:
    """Calls that have every type in every place, with as many arguments as it takes at least and at most."""
    found: dict[str, None] = {}
    for count in {function.least_arguments, len(function.args) + bool(function.args and function.args[-1].repeated)}:
        rules = function.rules_for(count)
        choices = [_choices(rule) for rule in rules]
        together = itertools.product(*choices)
        if _product(choices) > _MOST_TOGETHER:
            usual = [_preferred(rule) for rule in rules]
            together = (  # type: ignore[assignment]
                (*usual[:place], choice, *usual[place + 1 :]) for place, options in enumerate(choices) for choice in options
            )
        found |= {_call(function, arguments): None for arguments in together}
    return list(found)


def _call(function: Function, arguments: tuple[str, ...]) -> str:
    return f"{function.name}({', '.join(arguments)})"


def _product(choices: list[list[str]]) -> int:
    result = 1
    for options in choices:
        result *= len(options)
    return result


def _preferred(rule: Argument) -> str:
    for type_ in (T.INT, T.STRING, T.TIMESTAMP):
        if type_ in rule.types and not rule.constant and not rule.strings:
            return f"c_{type_.value}"
    return _choices(rule)[0]


def _choices(rule: Argument) -> list[str]:
    """What may stand in one place."""
    if rule.strings:
        return ["split(c_string, ',')"]
    if rule.constant:
        return (
            ["0.5"]
            if T.DOUBLE in rule.types
            else (["-2"] if rule.least is None else []) + (["2L"] if T.BIGINT in rule.types else []) + ["2"]
        )
    columns = [f"c_{type_.value}" for type_ in rule.types]
    return columns + (["*"] if rule.star else []) + (["null"] if rule.null else [])

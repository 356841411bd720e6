"""A feature's expression as SQL: the user's own text with columns in backticks, the version's function names and OVER put in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from jdrec.features import expression as ast
from jdrec.features.expression import Node
from jdrec.features.functions import FUNCTIONS

_WORD = re.compile(r"`?(\w+)`?", re.ASCII)

_RESERVED = ("join",)  # functions whose names the grammar takes in backticks only

Edit = tuple[int, int, str]  # start, end, what to put there


def rewrite(text: str, tree: Node, *, version: str, column: Callable[[ast.Column], str], over: str = "") -> str:
    """An expression in the SQL of an OpenMLDB version.

    Args:
        tree: what the text was parsed to, with canonical names.
        column: writes a column, e.g. "`product`.`br`".
        over: what follows each call that runs over the window, e.g. " over user_10".
    """
    edits: list[Edit] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Column):
            edits.append((node.start, node.end, column(node)))
        elif isinstance(node, ast.Call):
            word = _WORD.match(text, node.start)
            assert word is not None
            name = FUNCTIONS[node.name].sql_name(version, word[1].lower())
            edits.append((word.start(), word.end(), f"`{name}`" if name in _RESERVED else name))
        elif isinstance(node, ast.IsNull):  # OpenMLDB's compiler has no IS NULL
            edits.append((node.start, node.start, "!isnull(" if node.negated else "isnull("))
            edits.append((len(text[: node.keyword].rstrip()), node.end, ")"))
    edits += [(call.end, call.end, over) for call in windowed_calls(tree)]
    return _apply(text, edits).strip()


def windowed_calls(node: Node) -> Iterator[ast.Call]:
    """The calls that OVER has to follow.

    OpenMLDB wants OVER right after a function call, and takes it after an aggregate as well as after a scalar function of aggregates:
    `isnull(at(x, 0)) over w`. The outermost such call is taken, but none that also reads a column of the current row, and no cast.
    """
    if isinstance(node, ast.Call) and _runs_over_window(node):
        yield node
        return
    for child in ast.children(node):
        yield from windowed_calls(child)


def bare_columns(node: Node) -> Iterator[ast.Column]:
    """The columns that stand where no expression may."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and any(rule.column for rule in FUNCTIONS[call.name].args):
            yield from (arg for arg in call.args if isinstance(arg, ast.Column))


def _runs_over_window(node: Node) -> bool:
    if not isinstance(node, ast.Call):
        return False
    if FUNCTIONS[node.name].is_aggregate:
        return True
    return any(map(_runs_over_window, node.args)) and all(isinstance(arg, ast.Literal) or _runs_over_window(arg) for arg in node.args)


def _apply(text: str, edits: list[Edit]) -> str:
    """Applies edits that do not overlap; of those at one place, insertions keep their order."""
    out, at = [], 0
    for start, end, new in sorted(edits, key=lambda edit: edit[:2]):
        out += [text[at:start], new]
        at = end
    return "".join(out) + text[at:]

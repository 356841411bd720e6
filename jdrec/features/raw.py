"""SQL expressions that only OpenMLDB reads: here they are checked for nothing but that they stay in their place."""

from __future__ import annotations

import re

from jdrec.features import expression as ast
from jdrec.features.lexer import fail
from jdrec.features.types import SqlType

_TOKEN = re.compile(r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"|`\w+`|--|/\*|[#;'\"`()\[\]{}]|.", re.DOTALL | re.ASCII)
_CLOSES = {")": "(", "]": "[", "}": "{"}


def read(text: str, type_: SqlType) -> ast.Raw:
    """The whole text as one node.

    Raises:
        ExpressionError: brackets that do not match, a comment, a statement's end, a string that is not closed.
    """
    if not text.strip():
        raise fail("the expression is empty.", 0)
    open_: list[tuple[str, int]] = []
    depth_zero_comma = None
    for match in _TOKEN.finditer(text):
        token, at = match.group(), match.start()
        if token in ("--", "/*", "#", ";"):
            raise fail(f"an expression cannot hold {token!r}.", at)
        if token in ("'", '"', "`"):
            raise fail("this is not closed.", at)
        if token in _CLOSES.values():
            open_.append((token, at))
        elif token in _CLOSES:
            if not open_ or open_.pop()[0] != _CLOSES[token]:
                raise fail(f"nothing opens this {token!r}.", at)
        elif token == "," and not open_:
            depth_zero_comma = at
    if open_:
        raise fail(f"nothing closes this {open_[-1][0]!r}.", open_[-1][1])
    if depth_zero_comma is not None:
        raise fail("a feature is one expression.", depth_zero_comma)
    return ast.Raw(0, len(text), type_)

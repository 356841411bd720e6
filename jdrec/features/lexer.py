"""Tokens of the expression language, each with its place in the text.

Comments are refused: the text goes into SQL as it is written, where a comment would swallow what follows it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from jdrec.errors import ExpressionError

KEYWORDS = frozenset(
    [
        "and",
        "as",
        "between",
        "case",
        "cast",
        "div",
        "else",
        "end",
        "escape",
        "false",
        "ilike",
        "in",
        "is",
        "like",
        "not",
        "null",
        "or",
        "over",
        "rlike",
        "then",
        "true",
        "when",
        "xor",
    ]
)

TokenKind = Literal["number", "interval", "string", "name", "quoted_name", "keyword", "operator", "end"]


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text from `start` to `end`; `value` is lower case for keywords, unescaped for strings."""

    kind: TokenKind
    value: str
    start: int
    end: int

    def __str__(self) -> str:
        return "the end" if self.kind == "end" else repr(self.value)


_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<comment>--|/\*|\#)
  | (?P<interval>\d+[smhdSMHD]\b)
  | (?P<number>(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?[fFlL]?(?!\w))
  | (?P<name>[A-Za-z_]\w*)
  | `(?P<quoted_name>[A-Za-z_]\w*)`
  | (?P<string>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
  | (?P<operator><=|>=|<>|!=|==|[-+*/%=<>!(),.])
    """,
    re.VERBOSE | re.ASCII,
)

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"', "`": "`"}


def fail(message: str, offset: int) -> ExpressionError:
    """An error about the character at `offset`; columns are counted from 1."""
    return ExpressionError(message, column=offset + 1)


def tokens(text: str) -> list[Token]:
    """Splits an expression; the last token is the end.

    Raises:
        ExpressionError: a character or a form that OpenMLDB does not read, with its column.
    """
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise fail(_unreadable(text, at), at)
        kind, end = match.lastgroup, match.end()
        if kind == "comment":
            hint = " Put a space between two minus signs." if match.group() == "--" else ""
            raise fail(f"comments are not allowed, found {match.group()!r}.{hint}", at)
        if kind == "string":
            if found and found[-1].kind == "string" and found[-1].end == at:
                raise fail("a quote inside a string is written with a backslash: 'it\\'s'.", at)
            found.append(Token("string", _unescape(match.group()[1:-1], at + 1), at, end))
        elif kind == "name" and match.group().lower() in KEYWORDS:
            found.append(Token("keyword", match.group().lower(), at, end))
        elif kind != "space":
            found.append(Token(kind, match.group(kind), at, end))  # type: ignore[arg-type]
        at = end
    found.append(Token("end", "", len(text), len(text)))
    return found


def _unreadable(text: str, at: int) -> str:
    if text[at] in "'\"":
        return "this string is not closed."
    if text[at] == "`":
        return "a backticked name is letters, digits and _ between two backticks."
    if text[at].isdigit():
        return "this is not a number that OpenMLDB reads."
    if text[at] == ";":
        return "an expression cannot hold ';'."
    return f"unexpected character {text[at]!r}."


def _unescape(body: str, offset: int) -> str:
    if "\\" not in body:
        return body
    out, at = [], 0
    while at < len(body):
        if body[at] != "\\":
            out.append(body[at])
            at += 1
        elif body[at + 1] in _ESCAPES:
            out.append(_ESCAPES[body[at + 1]])
            at += 2
        else:
            raise fail(f"unknown escape '\\{body[at + 1]}'. Known: \\n \\t \\r \\\\ \\' \\\".", offset + at)
    return "".join(out)

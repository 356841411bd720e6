"""OpenMLDB's statements as text: cut a script into statements, read their parts, add options to them.

The statements themselves are rendered by `jdrec.features.sql`. Nothing here knows a table's rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jdrec.features import quoting

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|\#[^\n]*|/\*.*?\*/)
      | (?P<text>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")
      | (?P<quoted>`[^`]*`)
      | (?P<word>@@[A-Za-z_][A-Za-z0-9_.]*|[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[A-Za-z]*)
      | (?P<symbol><>|<=|>=|!=|==|\|\||&&|<<|>>|.)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Token:
    """A piece of a statement.

    Attributes:
        kind: text, quoted, word, number or symbol.
        start: where it begins in the statement.
    """

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.text.lower() in words


def tokens(statement: str) -> Iterator[Token]:
    """The tokens, without spaces and comments."""
    for match in _TOKEN.finditer(statement):
        if match.lastgroup != "space":
            assert match.lastgroup is not None
            yield Token(match.lastgroup, match.group(), match.start())


def split(script: str) -> list[str]:
    """The statements of a script, without their semicolons. A semicolon inside a string or a comment ends nothing."""
    found, start = [], 0
    for token in tokens(script):
        if token.text == ";":
            found.append(script[start : token.start])
            start = token.end
    found.append(script[start:])
    return [statement.strip() for statement in found if next(tokens(statement), None) is not None]


def first_words(statement: str, count: int) -> tuple[str, ...]:
    """The first words in lower case, to tell what a statement does: ("load", "data")."""
    words: list[str] = []
    for token in tokens(statement):
        if token.kind != "word" or len(words) == count:
            break
        words.append(token.text.lower())
    return tuple(words)


def is_a(statement: str, *words: str) -> bool:
    """Whether a statement begins with these words."""
    return first_words(statement, len(words)) == words


def name_after(statement: str, *words: str) -> str:
    """The name that follows these words, without backticks: `name_after(sql, "into", "table")`.

    Raises:
        ValueError: it is not there.
    """
    found = list(tokens(statement))
    for position in range(len(found) - len(words)):
        follower = found[position + len(words)]
        if all(found[position + i].is_word(word) for i, word in enumerate(words)) and follower.kind in ("word", "quoted"):
            return follower.text.strip("`")
    raise ValueError(f"there is no name after {' '.join(words).upper()} in: {statement}")


def text_after(statement: str, *words: str) -> str:
    """The value of the string literal that follows these words: the path after INTO OUTFILE.

    Raises:
        ValueError: it is not there.
    """
    found = list(tokens(statement))
    for position in range(len(found) - len(words)):
        follower = found[position + len(words)]
        if all(found[position + i].is_word(word) for i, word in enumerate(words)) and follower.kind == "text":
            return literal_value(follower.text)
    raise ValueError(f"there is no string after {' '.join(words).upper()} in: {statement}")


_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}


def literal_value(literal: str) -> str:
    """What a string literal stands for."""
    return re.sub(r"\\(.)", lambda match: _ESCAPED.get(match.group(1), match.group(1)), literal[1:-1], flags=re.DOTALL)


def if_not_exists(statement: str) -> str:
    """CREATE DATABASE or CREATE TABLE that leaves alone what is there already."""
    words = first_words(statement, 5)
    if words[:1] != ("create",) or words[1:2] not in (("database",), ("table",)):
        raise ValueError(f"not a statement that creates a database or a table: {statement}")
    if words[2:] == ("if", "not", "exists"):
        return statement
    kind = list(tokens(statement))[1]
    return f"{statement[: kind.end]} IF NOT EXISTS{statement[kind.end :]}"


def with_options(statement: str, options: Mapping[str, str | bool]) -> str:
    """LOAD DATA, SELECT INTO OUTFILE or DEPLOY with options added; one that is there already gets the new value.

    Options of DEPLOY stand behind the deployment's name, those of the others at the end.
    """
    if not options:
        return statement
    present = _options(statement)
    written = {name.lower(): f"{name}={quoting.text(v) if isinstance(v, str) else str(v).lower()}" for name, v in options.items()}
    if present is None:
        where = list(tokens(statement))[1].end if is_a(statement, "deploy") else len(statement.rstrip())
        return f"{statement[:where]} OPTIONS({', '.join(written.values())}){statement[where:]}"
    start, end, items = present
    kept = {name: text for name, text in items.items() if name not in written}
    return f"{statement[:start]}({', '.join([*kept.values(), *written.values()])}){statement[end:]}"


def options_of(statement: str) -> dict[str, str]:
    """The options of a statement: lower-case name to value, strings without their quotes."""
    present = _options(statement)
    found = {}
    for name, text in (present[2] if present else {}).items():
        value = text.partition("=")[2].strip()
        found[name] = literal_value(value) if value[:1] in ("'", '"') else value
    return found


def _options(statement: str) -> tuple[int, int, dict[str, str]] | None:
    """Where the parenthesis of OPTIONS begins and ends, and lower-case name to "name=value"."""
    found = list(tokens(statement))
    candidates = [2] if is_a(statement, "deploy") else range(len(found) - 1, 0, -1)
    for position in candidates:
        if position + 1 < len(found) and found[position].is_word("options") and found[position + 1].text == "(":
            break
    else:
        return None
    items: dict[str, str] = {}
    depth, begin = 0, found[position + 1].end
    for token in found[position + 1 :]:
        depth += (token.text == "(") - (token.text == ")")
        if (token.text == "," and depth == 1) or depth == 0:
            item = statement[begin : token.start].strip()
            if item:
                items[item.partition("=")[0].strip().lower()] = item
            begin = token.end
        if depth == 0:
            in_place = is_a(statement, "deploy") or token is found[-1]
            return (found[position + 1].start, token.end, items) if in_place else None
    return None

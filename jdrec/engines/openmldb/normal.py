"""A query in one normal layout, so that two texts of one query are equal and two queries can be shown as a diff.

OpenMLDB stores a deployment's query as its parser writes it: keywords in capitals, backticks only where they must be, a window's
name in parentheses. The normal form takes such differences out and nothing else.
"""

from __future__ import annotations

import re

from jdrec.engines.openmldb import statements as sql
from jdrec.features import quoting

# Words that a parser writes in capitals; all else is a name, whose case counts.
_KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        """all and as asc between by case cast config current current_row current_time desc distinct div else end escape exclude false following
    from group having ilike in instance_not_in_window interval is join last left like limit maxsize mod not null on open or order outer over
    partition preceding right rlike row rows rows_range select then true unbounded union when where window with xor""",
    )
)
_SAME = {"!": "not", "<>": "!=", "==": "="}
_CLAUSES = ("select", "from", "where", "group", "having", "window", "limit")


def normal(query: str) -> str:
    """The normal form: one output column, clause, join or window on a line, indented by depth."""
    return _layout(_simplify(_words(query)))


def _words(query: str) -> list[str]:
    """The tokens in their normal spelling."""
    words = []
    for token in sql.tokens(query):
        if token.kind == "text":
            words.append(quoting.text(sql.literal_value(token.text)))
        elif token.kind in ("word", "quoted"):
            name = token.text.strip("`")
            words.append(name.lower() if name.lower() in _KEYWORDS else name)
        elif token.kind == "number":
            words.append(token.text.lower())
        else:
            words.append(_SAME.get(token.text, token.text))
    while words and words[-1] == ";":
        words.pop()
    return words


def _simplify(words: list[str]) -> list[str]:
    """`over (w)` is `over w`; ascending order is the default; `a mod b` is `a % b`."""
    found: list[str] = []
    position = 0
    while position < len(words):
        if words[position] == "over" and words[position + 1 : position + 2] == ["("] and words[position + 3 : position + 4] == [")"]:
            found += ["over", words[position + 2]]
            position += 4
        elif words[position] == "asc":
            position += 1
        elif words[position] == "mod" and found and _is_operand(found[-1]):
            found.append("%")
            position += 1
        else:
            found.append(words[position])
            position += 1
    return found


def _layout(words: list[str]) -> str:
    lines: list[str] = []
    line: list[str] = []
    nested = [True]  # the whole, then each open parenthesis: is it a sub-query, laid out over several lines?

    def flush() -> None:
        if line:
            level = sum(nested) - 1
            lines.append("  " * (2 * level + (line[0] not in _CLAUSES)) + _join(line))
            line.clear()

    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == "(":
            is_query = nested[-1] and following == "select"
            line.append(word)
            if is_query:
                flush()
            nested.append(is_query)
        elif word == ")" and len(nested) > 1:
            if nested[-1]:
                flush()
            nested.pop()
            line.append(word)
        elif nested[-1] and (word in _CLAUSES or (word, following) == ("last", "join")):
            flush()
            line.append(word)
            if word in ("select", "from"):
                flush()
        else:
            line.append(word)
            if nested[-1] and word == ",":
                flush()
    flush()
    return "\n".join(lines) + "\n"


def _join(words: list[str]) -> str:
    """Words with the spaces that a reader expects."""
    text = ""
    for before, word in zip(["", *words], words, strict=False):
        tight = not before or before in ("(", ".") or word in (",", ")", ".", ";") or (word == "(" and _is_function(before))
        text += word if tight else f" {word}"
    return text


def _is_operand(word: str) -> bool:
    return word[0] in ")'" or ((word[0].isalnum() or word[0] == "_") and word not in _KEYWORDS)


def _is_function(word: str) -> bool:
    return (word[0].isalpha() or word[0] == "_") and (word not in _KEYWORDS or word in ("cast", "left", "right"))

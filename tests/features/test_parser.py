"""Literal expressions and the trees, spans and errors that they give."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jdrec.errors import ExpressionError
from jdrec.features import expression as ast
from jdrec.features.expression import children, parse, walk
from jdrec.features.types import SqlType


def shape(node: ast.Node) -> object:
    """A tree as nested tuples, without spans."""
    if isinstance(node, ast.Column):
        return f"{node.table}.{node.name}" if node.table else node.name
    if isinstance(node, ast.Literal):
        return f"{node.value}{node.interval}" if node.interval else node.value
    if isinstance(node, ast.Star):
        return "*"
    head: object = type(node).__name__.lower()
    if isinstance(node, ast.Call):
        head = node.name
    elif isinstance(node, ast.Binary | ast.Unary):
        head = node.op
    elif isinstance(node, ast.Cast):
        head = node.type.value
    elif isinstance(node, ast.Like):
        head = node.op if node.escape is None else f"{node.op} escape {node.escape}"
    if isinstance(node, ast.In | ast.Between | ast.Like | ast.IsNull) and node.negated:
        head = f"not {head}"
    return (head, *map(shape, children(node)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("price", "price"),
        ("`price`", "price"),
        ("product.brand", "product.brand"),
        ("`product`.`brand`", "product.brand"),
        ("3", 3),
        ("2147483648", 2147483648),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("7d", "7d"),
        ("TRUE", True),
        ("null", None),
        ("'it\\'s'", "it's"),
        ('"two\\nlines"', "two\nlines"),
        ("count(*)", ("count", "*")),
        ("COUNT(x)", ("count", "x")),
        ("a + b * c", ("+", "a", ("*", "b", "c"))),
        ("(a + b) * c", ("*", ("+", "a", "b"), "c")),
        ("a - b - c", ("-", ("-", "a", "b"), "c")),
        ("a % 2 = 0", ("=", ("%", "a", 2), 0)),
        ("a div 2 / c", ("/", ("div", "a", 2), "c")),
        ("-a * b", ("*", ("-", "a"), "b")),
        ("a - -1", ("-", "a", ("-", 1))),
        ("a or b and c", ("or", "a", ("and", "b", "c"))),
        ("a or b xor c and d", ("or", "a", ("xor", "b", ("and", "c", "d")))),
        ("not a = b and c", ("and", ("not", ("=", "a", "b")), "c")),
        ("!isnull(a) and b", ("and", ("not", ("isnull", "a")), "b")),
        ("!s like 'a%'", ("not", ("like", "s", "a%"))),
        ("a <> b", ("!=", "a", "b")),
        ("a == b", ("=", "a", "b")),
        ("a in (1, b + 1)", ("in", "a", 1, ("+", "b", 1))),
        ("a not in (1)", ("not in", "a", 1)),
        ("a between 1 and 2 and b", ("and", ("between", "a", 1, 2), "b")),
        ("a not between b + 1 and 9", ("not between", "a", ("+", "b", 1), 9)),
        ("s not like '%x'", ("not like", "s", "%x")),
        ("s like '5!%' escape '!' and b", ("and", ("like escape !", "s", "5!%"), "b")),
        ("s ilike t escape ''", ("ilike escape ", "s", "t")),
        ("s NOT ILIKE 'A%'", ("not ilike", "s", "A%")),
        ("s rlike 'a+' or s not rlike t", ("or", ("rlike", "s", "a+"), ("not rlike", "s", "t"))),
        ("a is null or b is not null", ("or", ("isnull", "a"), ("not isnull", "b"))),
        ("case when a then 1 else 0 end", ("case", "a", 1, 0)),
        ("case a when 1 then 'x' when 2 then 'y' end", ("case", "a", 1, "x", 2, "y")),
        ("cast(a as bigint)", ("bigint", "a")),
        ("timestamp(a)", ("timestamp", "a")),
        ("int32(a)", ("int", "a")),
        ("1 < dayofweek(timestamp(t))", ("<", 1, ("dayofweek", ("timestamp", "t")))),
    ],
)
def test_trees(text: str, expected: object) -> None:
    assert shape(parse(text)) == expected


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("1", SqlType.INT),
        ("2147483647", SqlType.INT),
        ("2147483648", SqlType.BIGINT),
        ("1L", SqlType.BIGINT),
        ("1.0", SqlType.DOUBLE),
        ("1.5f", SqlType.FLOAT),
        ("''", SqlType.STRING),
        ("true", SqlType.BOOL),
        ("null", None),
    ],
)
def test_literal_types(text: str, type_: SqlType | None) -> None:
    node = parse(text)
    assert isinstance(node, ast.Literal)
    assert node.type is type_


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ("", 1, "the expression is empty."),
        ("   ", 1, "the expression is empty."),
        ("a b", 3, "unexpected 'b'."),
        ("a +", 4, "the expression ends too early."),
        ("count(x", 8, "expected ')' or ',', found the end."),
        ("count(*", 8, "expected ')' or ',', found the end."),
        ("(a", 3, "expected ')' to close '(', found the end."),
        ("a = b = c", 7, "comparisons do not chain: put parentheses around one before '='."),
        ("a < b between 1 and 2", 7, "comparisons do not chain: put parentheses around one before 'between'."),
        ("a = not b", 5, "'not' binds more loosely than what stands before it: put parentheses around it."),
        ("'abc", 1, "this string is not closed."),
        ("'a''b'", 4, "a quote inside a string is written with a backslash: 'it\\'s'."),
        ("'a\\q'", 3, "unknown escape '\\q'. Known: \\n \\t \\r \\\\ \\' \\\"."),
        ("a--b", 2, "comments are not allowed, found '--'. Put a space between two minus signs."),
        ("a /* b */", 3, "comments are not allowed, found '/*'."),
        ("a # b", 3, "comments are not allowed, found '#'."),
        ("a; drop table b", 2, "an expression cannot hold ';'."),
        ("@@x", 1, "unexpected character '@'."),
        ("`a b`", 1, "a backticked name is letters, digits and _ between two backticks."),
        ("1abc", 1, "this is not a number that OpenMLDB reads."),
        ("9223372036854775808", 1, "the number does not fit a bigint."),
        ("count(x) over w", 10, "the window is named beside the expression (over: <window>), not inside it."),
        ("x as y", 3, "an expression has no alias: the feature's key in the YAML is its name."),
        ("a is 3", 6, "expected null after is, found '3'."),
        ("a in ()", 3, "in needs at least one value."),
        ("a like b escape c", 17, "escape is a string of one ASCII character, or of none, written out."),
        ("a like b escape 'xx'", 17, "escape is a string of one ASCII character, or of none, written out."),
        ("a rlike b escape 'x'", 18, "rlike has no escape."),
        ("a like 'b' like 'c'", 12, "comparisons do not chain: put parentheses around one before 'like'."),
        ("case a end", 1, "case needs at least one when."),
        ("case when a then b", 19, "expected 'end' to close case, found the end."),
        (
            "cast(x as number)",
            11,
            "'number' is not a type. Types: bool, smallint, int, bigint, float, double, string, date, timestamp.",
        ),
        ("int(a, b)", 1, "int(x) converts one value."),
        ("a.", 3, "expected a column after 'a.', found the end."),
        ("(" * 100 + "a" + ")" * 100, 65, "more than 64 levels of nesting."),
    ],
)
def test_errors(text: str, column: int, reason: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert (caught.value.column, caught.value.reason) == (column, reason)


def test_spans_point_into_the_text() -> None:
    text = "case when (a + b) > 1 then `count` else nth is not null end"
    spans = [(type(node).__name__, text[node.start : node.end]) for node in walk(parse(text))]
    assert spans == [
        ("Case", text),
        ("Binary", "(a + b) > 1"),
        ("Binary", "a + b"),
        ("Column", "a"),
        ("Column", "b"),
        ("Literal", "1"),
        ("Column", "`count`"),
        ("IsNull", "nth is not null"),
        ("Column", "nth"),
    ]


# --- properties: a random tree, written out with more parentheses than needed, is read back ---

_names = st.sampled_from(["a", "b2", "_c", "price"])
_leaves = st.one_of(
    _names,
    st.integers(0, 2**63 - 1),
    st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=5).map(lambda s: ("'", s)),
)
_binary = st.sampled_from(["+", "-", "*", "/", "%", "div", "=", "!=", "<", "and", "or", "xor"])
_trees = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.tuples(_binary, inner, inner),
        st.tuples(st.just("-"), inner),
        st.tuples(st.just("not"), inner),
        st.tuples(st.sampled_from(["sum", "if_null"]), inner, inner).map(lambda t: ("call", *t)),
        st.tuples(st.just("isnull"), inner),
    ),
    max_leaves=12,
)


def write(tree: object) -> str:
    if not isinstance(tree, tuple):
        return str(tree)
    head, *rest = tree
    if head == "'":
        return "'" + rest[0].replace("\\", "\\\\").replace("'", "\\'") + "'"
    if head == "call":
        return f"{rest[0]}({write(rest[1])}, {write(rest[2])})"
    if head == "isnull":
        return f"(({write(rest[0])}) is null)"
    if len(rest) == 1:
        return f"({head} ({write(rest[0])}))"
    return f"({write(rest[0])} {head} {write(rest[1])})"


def read_back(tree: object) -> object:
    if not isinstance(tree, tuple):
        return tree
    head, *rest = tree
    if head == "'":
        return rest[0]
    if head == "call":
        return (rest[0], *map(read_back, rest[1:]))
    return (head, *map(read_back, rest))


@given(_trees)
def test_what_is_written_is_read(tree: object) -> None:
    assert shape(parse(write(tree))) == read_back(tree)


@given(st.text(st.sampled_from("ab1.,'\"`()=<>!*/%-+ \n;#@\\dand orcasewhen"), max_size=30))
def test_any_text_parses_or_is_refused_with_its_place(text: str) -> None:
    try:
        node = parse(text)
    except ExpressionError as error:
        assert error.column is not None
        assert 1 <= error.column <= len(text) + 1
    else:
        assert 0 <= node.start < node.end <= len(text)
        outside_strings = re.sub(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", "", text)
        assert not re.search(r"--|/\*|#|;", outside_strings)  # nothing that would end or swallow the SQL around it

"""Functions of strings."""

from __future__ import annotations

from jdrec.features.functions.rules import ANY, NUMBERS, TEXT, Argument, Function, T, scalar

_X = Argument("x", TEXT)
_LISTED = "A NULL x gives an empty list, a NULL separator gives NULL."


def _pattern(name: str, doc: str) -> Function:
    return scalar(name, _X, Argument("pattern", TEXT), Argument("escape", TEXT, optional=True), result=T.BOOL, doc=doc)


def _pairs(name: str, doc: str) -> Function:
    arguments = _X, Argument("separator", TEXT), Argument("inner", TEXT)
    return scalar(name, *arguments, result=T.STRING, gives_strings=True, nulls=_LISTED, doc=doc, since="0.6.3")


TABLE: tuple[Function, ...] = (
    scalar("concat", Argument("x", ANY, repeated=True), result=T.STRING, doc="The texts of all values, one after the other."),
    scalar(
        "concat_ws",
        Argument("separator", ANY),
        Argument("x", ANY, repeated=True),
        result=T.STRING,
        doc="The texts of all values with the separator between them.",
    ),
    scalar(
        "substr",
        _X,
        Argument("start", (T.INT,)),
        Argument("length", (T.INT,), optional=True),
        result=T.STRING,
        doc="The part of x from a place on, counted from 1, or from the end if it is negative.",
        aliases=("substring",),
    ),
    scalar("char_length", _X, result=T.INT, doc="Number of bytes.", aliases=("character_length",)),
    scalar("lower", _X, result=T.STRING, doc="Lower case of ASCII letters.", aliases=("lcase",)),
    scalar("upper", _X, result=T.STRING, doc="Upper case of ASCII letters.", aliases=("ucase",)),
    scalar(
        "replace",
        _X,
        Argument("search", TEXT),
        Argument("replacement", TEXT, optional=True),
        result=T.STRING,
        doc="x with every occurrence of a text replaced, or taken out.",
    ),
    scalar("reverse", _X, result=T.STRING, doc="x from its last byte to its first."),
    scalar(
        "strcmp",
        _X,
        Argument("y", TEXT),
        result=T.INT,
        doc="How x compares with y, by bytes: below 0 if it comes before y, 0 if they are equal, above 0 if it comes after.",
    ),
    _pattern(
        "like_match",
        "Whether x matches a pattern of % (any text) and _ (one byte); as x like pattern escape escape. The escape is \\ if it is not said.",
    ),
    _pattern("ilike_match", "As like_match, in upper or lower case; as x ilike pattern."),
    scalar(
        "regexp_like",
        _X,
        Argument("pattern", TEXT),
        Argument("flags", TEXT, optional=True),
        result=T.BOOL,
        nulls="NULL, or a pattern that is no regular expression, gives NULL.",
        doc="Whether x as a whole matches a regular expression (RE2's, POSIX syntax); as x rlike pattern. Flags: i any case, s a dot is a line's end too, m ^ and $ at lines' ends.",
        since="0.6.1",
    ),
    scalar(
        "split",
        _X,
        Argument("separator", TEXT),
        result=T.STRING,
        gives_strings=True,
        nulls=_LISTED,
        doc="The parts of x between separators.",
        since="0.6.3",
    ),
    _pairs("split_by_key", "Of each part of x, what stands before the inner separator: join(split_by_key('7_42', ',', '_'), '') is 7."),
    _pairs("split_by_value", "Of each part of x, what stands after the inner separator: join(split_by_value('7_42', ',', '_'), '') is 42."),
    scalar(
        "join",
        Argument("parts", TEXT, strings=True),
        Argument("separator", TEXT),
        result=T.STRING,
        doc="The parts of a split as one text.",
        nulls="An empty list gives ''.",
        since="0.6.3",
    ),
    scalar("size", Argument("parts", TEXT, strings=True), result=T.INT, doc="Number of parts of a split.", since="0.7.0"),
    scalar("char", Argument("code", (T.INT,)), result=T.STRING, doc="The character of an ASCII code."),
    scalar("hex", Argument("x", (*NUMBERS, T.STRING)), result=T.STRING, doc="Hexadecimal digits of a rounded number or of a text's bytes."),
    scalar("unhex", _X, result=T.STRING, doc="The text of hexadecimal digits; NULL if they are none.", since="0.6.3"),
    scalar(
        "get_json_object",
        _X,
        Argument("path", TEXT),
        result=T.STRING,
        nulls="NULL, a text that is no JSON, or nothing at that place gives NULL.",
        doc="The value at a JSON pointer such as '/user/name' or '/items/0', as it is written there; a string without its quotes.",
        since="0.8.3",
    ),
    scalar(
        "json_array_length",
        _X,
        result=T.INT,
        nulls="NULL, or a text that is no JSON array, gives NULL.",
        doc="Number of elements of a JSON array.",
        since="0.8.3",
    ),
)

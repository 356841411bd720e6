"""Functions of numbers."""

from __future__ import annotations

from jdrec.features.functions.rules import ANY, NUMBERS, Argument, Function, T, Types, common, real, same, scalar, widest

_X = Argument("x", NUMBERS)


def _wide(types: Types) -> T:
    """Int of small integers, bigint of bigints, double of floats."""
    (type_,) = types
    assert type_ is not None
    return T.DOUBLE if type_.is_float else T.BIGINT if type_ is T.BIGINT else T.INT


def _whole(types: Types) -> T:
    """Bigint of integers, double of floats."""
    (type_,) = types
    assert type_ is not None
    return T.DOUBLE if type_.is_float else T.BIGINT


def _logarithm(types: Types) -> T:
    """Double, but float of a single float."""
    return real(types) if len(types) == 1 else T.DOUBLE


def _widest(types: Types) -> T:
    """The wider of both types."""
    return widest([type_ for type_ in types if type_ is not None])


def _real(name: str, doc: str) -> Function:
    return scalar(name, _X, result=real, doc=doc)


TABLE: tuple[Function, ...] = (
    scalar("abs", _X, result=_wide, doc="Absolute value."),
    scalar("ceil", _X, result=_whole, doc="Smallest whole number that is not less.", aliases=("ceiling",)),
    scalar("floor", _X, result=_whole, doc="Largest whole number that is not greater."),
    scalar(
        "round",
        _X,
        Argument("digits", (T.INT,), optional=True),
        result=same,
        doc="x rounded to so many decimal places (0 by default), halves away from zero.",
    ),
    scalar("truncate", _X, result=_wide, doc="x without its decimal places."),
    scalar(
        "pmod",
        _X,
        Argument("divisor", NUMBERS),
        result=_widest,
        doc="Remainder that is not negative; NULL if the divisor is 0.",
        since="0.7.0",
    ),
    scalar("pow", _X, Argument("y", NUMBERS), result=real, doc="x to the power of y.", aliases=("power",)),
    _real("sqrt", "Square root."),
    _real("exp", "e to the power of x."),
    _real("ln", "Natural logarithm."),
    scalar(
        "log",
        _X,
        Argument("y", NUMBERS, optional=True),
        result=_logarithm,
        written="log([base, ]x)",
        doc="Natural logarithm, or the one to a base.",
    ),
    _real("log2", "Logarithm to the base 2."),
    _real("log10", "Logarithm to the base 10."),
    _real("sin", "Sine of an angle in radians."),
    _real("cos", "Cosine."),
    _real("tan", "Tangent."),
    _real("cot", "Cotangent."),
    _real("asin", "Arc sine, in radians."),
    _real("acos", "Arc cosine."),
    _real("atan", "Arc tangent."),
    scalar("atan2", Argument("y", NUMBERS), _X, result=real, doc="Angle of the point (x, y) in radians."),
    scalar("degrees", Argument("x", (T.DOUBLE,)), result=T.DOUBLE, doc="Radians as degrees."),
    scalar("radians", _X, result=T.DOUBLE, doc="Degrees as radians.", since="0.7.2"),
    scalar("maximum", _X, Argument("y", NUMBERS), result=common, doc="The larger of two numbers."),
    scalar("minimum", _X, Argument("y", NUMBERS), result=common, doc="The smaller of two numbers."),
    scalar(
        "hash64", Argument("x", ANY), result=T.BIGINT, doc="FarmHash of the value, 64 bits.", aliases=("farm_fingerprint",), since="0.6.6"
    ),
)

"""hash64 by what OpenMLDB's engine on Spark gave: strings of every length up to 209 characters, every type."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from jdrec.engines.embedded.farmhash import hash64
from jdrec.engines.embedded.vector import Vector
from jdrec.features.types import SqlType

TEXT = "京东abcdefghijklmnopqrstuvwxyz0123456789-ABCDEFGHIJKLMNOPQRSTUVWXYZ" * 4
BY_LENGTH = [  # characters, of which the first two are three bytes each
    (0, -7286425919675154353),
    (1, 469862681596826883),
    (3, -6295706229056594796),
    (4, 3678297660566195165),
    (5, 856600071829300740),
    (7, 5574971016265450686),
    (8, 2702719903698986049),
    (12, 5714523525719149212),
    (16, 988168729764106611),
    (17, -194912787130825034),
    (24, -2566093153185969898),
    (30, -8803739589280673279),
    (32, 7120252012950383580),
    (33, 1273611474667539816),
    (50, 6361854402011717826),
    (60, 188615908826808584),
    (61, -5536286883128111082),
    (64, 3408134012072666017),
    (65, 503841973596890732),
    (100, -4751523139722917232),
    (120, 850904092459516572),
    (190, -5402515307429353015),
    (209, 8279590833525740853),
]
BY_TYPE = [  # dates are days since 1970, times milliseconds
    ("bool", [True, False], [5161771770385946686, -4728684028706075820]),
    ("smallint", [1, -1], [17326723569209580, -4487919661602049707]),
    ("int", [1, -1], [7601041269982238804, 3427172234988467876]),
    ("bigint", [1, -1], [5925585971146611297, 3458737730936475989]),
    ("float", [1.0, -0.0], [322450456541637418, -890590698997688978]),
    ("double", [1.0, -0.0], [-6169223503904558093, 7578918962206252314]),
    ("string", ["1", ""], [-9142586270102516767, -7286425919675154353]),
    ("date", [0, 16801], [8387852676498454745, -2032644987347640043]),
    ("timestamp", [0, 1459419080123], [1457330246272086660, -7602679403098632994]),
]


@pytest.mark.parametrize(("length", "expected"), BY_LENGTH)
def test_texts(length: int, expected: int) -> None:
    assert hash64(Vector.of_value(TEXT[:length], SqlType.STRING)).data.tolist() == [expected]


def test_every_length_beside_the_others() -> None:
    result = hash64(Vector.of_values([TEXT[:length] for length in range(210)], SqlType.STRING))
    assert hashlib.sha256(result.data.astype("<i8").tobytes()).hexdigest()[:16] == "6c556572dd02facd"


@pytest.mark.parametrize(("type_", "values", "expected"), BY_TYPE)
def test_types(type_: str, values: list[Any], expected: list[int]) -> None:
    result = hash64(Vector.of_values([*values, None], SqlType(type_)))
    assert (result.data.tolist()[:2], result.is_valid.tolist()) == (expected, [True, True, False])

"""Durations and frame bounds, as written."""

from __future__ import annotations

import pytest

from jdrec.features.frames import milliseconds, range_bound, rows_bound
from jdrec.features.spec import Bound


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("14d", 1_209_600_000),
        ("10h", 36_000_000),
        ("30m", 1_800_000),
        ("5s", 5_000),
        ("250", 250),
        (250, 250),
        ("2 D", 172_800_000),
        ("0s", 0),
    ],
)
def test_durations(text: str | int, expected: int) -> None:
    assert milliseconds(text) == expected


@pytest.mark.parametrize("text", ["", "d", "1w", "-1d", "1.5d", "1d2h", "inf"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        milliseconds(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("14d", Bound(1_209_600_000, "14d")),
        ("7D open", Bound(604_800_000, "7d", open=True)),
        ("0s OPEN", Bound(0, "0s", open=True)),
        (0, Bound(0, "0s")),
        (1500, Bound(1500, "1500")),
    ],
)
def test_range_bounds(text: str | int, expected: Bound) -> None:
    assert range_bound(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [(10, Bound(10, "10")), ("10", Bound(10, "10")), ("10 open", Bound(10, "10", open=True)), (0, Bound(0, "0"))]
)
def test_rows_bounds(text: str | int, expected: Bound) -> None:
    assert rows_bound(text) == expected


@pytest.mark.parametrize("text", ["10d", "ten", "-1", "", "1 closed"])
def test_what_is_no_number_of_rows(text: str) -> None:
    with pytest.raises(ValueError, match="is not a number of rows"):
        rows_bound(text)

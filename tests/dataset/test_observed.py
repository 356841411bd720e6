"""The last observed moment, from a table or as written."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from jdrec.dataset.observed import observed_until
from jdrec.features.spec import Label


class _Tables:
    def max_time(self, table: str, column: str) -> int:
        assert (table, column) == ("action", "ts")
        return 1_460_000_000_000


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("action.ts", 1_460_000_000_000),
        ("2016-04-10T00:00:00Z", 1_460_246_400_000),
        ("2016-04-10 08:00:00", 1_460_246_400_000),  # without a zone: the data set's, UTC+8
        ("2016-04-10T01:00:00+01:00", 1_460_246_400_000),
    ],
)
def test_the_moment_in_milliseconds(text: str, moment: int) -> None:
    label = Label("bought", horizon_ms=432_000_000, observed_until=text)
    definition = SimpleNamespace(label=label, tables={"action": None}, timezone="Asia/Shanghai")
    assert observed_until(definition, _Tables()) == moment  # type: ignore[arg-type]
    definition.label = replace(label, horizon_ms=None)
    assert observed_until(definition, _Tables()) is None  # type: ignore[arg-type]

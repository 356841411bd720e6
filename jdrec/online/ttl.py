"""How long stored rows are kept: OpenMLDB's time to live, or for ever.

Source: OpenMLDB documentation, "CREATE TABLE" (TTL and TTL_TYPE of an index).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jdrec.engines.embedded.layout import TtlRule

if TYPE_CHECKING:
    from jdrec.config.online import TtlConfig
    from jdrec.features.indexes import Index

_MINUTE_MS = 60_000


@dataclass(frozen=True)
class TimeToLive:
    """When a row expires.

    Attributes:
        age_ms: a row is too old when it is so much older than now; 0: age does not count.
        rows: a row is surplus when so many newer ones have its key; 0: their number does not count.
    """

    rule: TtlRule = TtlRule.FOREVER
    age_ms: int = 0
    rows: int = 0

    @property
    def forever(self) -> bool:
        """Whether no row ever expires; one of two conditions that must both hold is not enough."""
        counts = (self.age_ms > 0, self.rows > 0)
        return self.rule is TtlRule.FOREVER or not (all(counts) if self.rule is TtlRule.ABSANDLAT else any(counts))

    @property
    def by_age(self) -> bool:
        """Whether rows expire as time goes by."""
        return not self.forever and self.age_ms > 0

    @property
    def words(self) -> tuple[int, int, int]:
        """As the kernels read it."""
        return (0, 0, 0) if self.forever else (int(self.rule), self.age_ms, self.rows)

    def __str__(self) -> str:
        if self.forever:
            return "for ever"
        parts = ([f"{self.age_ms // _MINUTE_MS} minutes"] if self.age_ms else []) + ([f"{self.rows} rows"] if self.rows else [])
        return f"{self.rule.name.lower()} ({', '.join(parts)})"


FOREVER = TimeToLive()


def configured(config: TtlConfig) -> TimeToLive:
    """The time to live that a configuration names."""
    rule = TtlRule[config.type.upper()]
    minutes = config.minutes if rule is not TtlRule.LATEST else 0
    rows = config.rows if rule is not TtlRule.ABSOLUTE else 0
    return TimeToLive(rule, minutes * _MINUTE_MS, rows)


def derived(indexes: Iterable[Index], key: Iterable[str], time: str | None) -> TimeToLive:
    """What OpenMLDB gives an index when it derives it from the query; for ever where there is none of this key and time."""
    for index in indexes:
        if set(index.key) == set(key) and index.ts == time:
            if index.forever:
                return FOREVER
            rule = TtlRule[index.ttl_type.upper()]
            return TimeToLive(rule, index.minutes * _MINUTE_MS, index.rows)
    return FOREVER

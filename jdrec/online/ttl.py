"""How long stored rows are kept: OpenMLDB's time to live, or for ever.

Source: OpenMLDB documentation, "CREATE TABLE" (TTL and TTL_TYPE of an index).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jdrec.engines.embedded.layout import TtlRule

if TYPE_CHECKING:
    from jdrec.config.online import TtlConfig
    from jdrec.features.indexes import Index
    from jdrec.features.spec import FeatureSet

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


class TimeToLives:
    """The times to live of all tables.

    Args:
        config: `online.ttl`.
    """

    def __init__(self, config: str | Mapping[str, TtlConfig], feature_set: FeatureSet):
        self._by_table = {} if isinstance(config, str) else {name: configured(ttl) for name, ttl in config.items()}
        self._indexes: Mapping[str, tuple[Index, ...]] | None = None
        if config == "derived":
            from jdrec.features.indexes import needed_indexes

            self._indexes = needed_indexes(feature_set)

    def of(self, table: str, key: Iterable[str], time: str | None) -> TimeToLive:
        """How long the table's rows are kept where they are found by a key, in order of a time column."""
        if self._indexes is not None:
            return derived(self._indexes.get(table, ()), key, time)
        return self._by_table.get(table, FOREVER)

    def longest_age_ms(self, table: str) -> int:
        """The age at which the table's rows have expired wherever they are found; 0: there is none."""
        if self._indexes is None:
            found = [self._by_table.get(table, FOREVER)]
        else:
            found = [derived([index], index.key, index.ts) for index in self._indexes.get(table, ())]
        by_age = (TtlRule.ABSOLUTE, TtlRule.ABSORLAT)
        return max((ttl.age_ms for ttl in found), default=0) if all(ttl.by_age and ttl.rule in by_age for ttl in found) else 0

    def describe(self, tables: Iterable[str]) -> dict[str, str]:
        """Each table's time to live in words."""
        if self._indexes is None:
            return {name: str(self._by_table.get(name, FOREVER)) for name in tables}
        return {
            f"{name} by {', '.join(index.key)}": str(derived([index], index.key, index.ts))
            for name in tables
            for index in self._indexes.get(name, ())
        }


def derived(indexes: Iterable[Index], key: Iterable[str], time: str | None) -> TimeToLive:
    """What OpenMLDB gives an index when it derives it from the query; for ever where there is none of this key and time."""
    for index in indexes:
        if set(index.key) == set(key) and index.ts == time:
            if index.forever:
                return FOREVER
            rule = TtlRule[index.ttl_type.upper()]
            return TimeToLive(rule, index.minutes * _MINUTE_MS, index.rows)
    return FOREVER

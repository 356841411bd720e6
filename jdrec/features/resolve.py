"""From configuration to a `FeatureSet`: names, types and kinds are checked, features are put into the query's blocks.

All mistakes of a configuration are reported together, each with its YAML path, the reason and the nearest valid name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jdrec.errors import CheckError
from jdrec.features import blocks, expand
from jdrec.features import expression as ast
from jdrec.features.expand import Entry
from jdrec.features.mistakes import Mistakes
from jdrec.features.resolve_feature import FeatureResolver
from jdrec.features.resolve_join import resolve_join
from jdrec.features.resolve_label import resolve_label
from jdrec.features.resolve_tables import resolve_tables
from jdrec.features.resolve_window import resolve_window
from jdrec.features.spec import Block, Feature, FeatureSet, Join, Kind, Window

if TYPE_CHECKING:
    from jdrec.config import Config


def resolve(config: Config) -> FeatureSet:
    """The feature set that a configuration describes. Reads no data.

    Raises:
        ConfigErrors: every mistake found.
    """
    return _Resolver(config).feature_set()


class _Resolver:
    def __init__(self, config: Config):
        self.dataset, self.config = config.dataset, config.features
        self.mistakes = Mistakes()
        self.tables = resolve_tables(config, self.mistakes)
        self.request = self.tables[self.config.request.table]
        self.joins: dict[str, Join] = {}
        self.windows: dict[str, Window] = {}

    def feature_set(self) -> FeatureSet:
        mistakes = self.mistakes
        for name, join in self.config.joins.items():
            mistakes.check_name(name, "a join's name", f"features.joins.{name}")
            with mistakes.collect():
                self.joins[name] = resolve_join(name, join, self.tables, self.request, self.joins)
        for name, window in self.config.windows.items():
            mistakes.check_name(name, "a window's name", f"features.windows.{name}")
            with mistakes.collect():
                self.windows[name] = resolve_window(name, window, self.tables, self.request)
        entries = self.resolve_entries()
        label = resolve_label(self.config.label, [entry.name for entry in entries], self.tables, mistakes)
        resolver, features = FeatureResolver(self.config, self.tables, self.joins, self.windows, mistakes), []
        for entry in entries:
            with mistakes.collect():
                features.append(resolver.resolve(entry))
        mistakes.stop()
        query: tuple[Block, ...] = ()
        with mistakes.collect():
            query = self.make_blocks(features)
            self.check_aliases(query)
        mistakes.stop()
        return FeatureSet(
            database=self.dataset.database,
            timezone=self.dataset.timezone,
            tables=self.tables,
            request_table=self.request.name,
            request_key=self.config.request.key,
            request_time=self.config.request.time,
            joins=self.joins,
            windows=self.windows,
            blocks=query,
            label=label,
        )

    def resolve_entries(self) -> list[Entry]:
        """The configuration's entries, short forms expanded."""
        found: dict[str, Entry] = {}
        for name, config in self.config.features.items():
            with self.mistakes.collect():
                for entry in expand.expand(name, config):
                    if (other := found.get(entry.name)) is not None:
                        where = f"features.features.{name}"
                        raise CheckError(
                            f"it makes a feature {entry.name!r}, as features.features.{other.group or other.name} does.", where=where
                        )
                    found[entry.name] = entry
        return list(found.values())

    def make_blocks(self, features: list[Feature]) -> tuple[Block, ...]:
        request_rows = {name: window.request_row for name, window in self.config.windows.items()}
        known = blocks.Definitions(self.request, self.tables, self.joins, self.windows, request_rows)
        return blocks.make_blocks(features, known, self.config.request.key, self.key_names, self.kept(features), self.key_feature)

    def kept(self, features: list[Feature]) -> set[str]:
        """Names of the features that features.select and features.drop leave; the label always stays."""
        names = [feature.name for feature in features]
        found = set(names)
        if self.config.select:
            chosen = expand.match(self.config.select, names, "features.select")
            found = {feature.name for feature in features if feature.name in chosen or feature.kind is Kind.DROP}
        if self.config.drop:
            found -= expand.match(self.config.drop, names, "features.drop")
        return found | {feature.name for feature in features if feature.kind is Kind.LABEL}

    def key_names(self, count: int) -> list[str]:
        keys = self.config.query.keys
        if keys is None:
            return [f"{self.config.request.key}_{n}" for n in range(1, count + 1)]
        if len(keys) != count:
            message = f"it takes one name for each of the query's {count} key columns, not {len(keys)}."
            raise CheckError(message, where="features.query.keys", hint="Leave keys out to have them named.")
        for key in keys:
            self.mistakes.check_name(key, "a key's name", "features.query.keys")
        return list(keys)

    def key_feature(self, name: str, column: str) -> Feature:
        kind = Kind.CATEGORICAL if self.config.query.keys_are_fields else Kind.DROP
        type_ = self.request.columns[self.config.request.key]
        return Feature(name, column, ast.Column(0, len(column), column), type_, kind, is_block_key=True)

    def check_aliases(self, blocks: tuple[Block, ...]) -> None:
        seen: dict[str, Feature] = {}
        for feature in (feature for block in blocks for feature in block.features):
            other = seen.setdefault(feature.name.lower(), feature)
            if other is not feature:
                what = "differs from another one in upper and lower case only" if other.name != feature.name else "is taken by a key column"
                self.mistakes.add(f"the name {feature.name!r} {what}.", feature.path)
        for block in blocks:
            if block.windows:
                inputs = {column.name.lower() for column in block.row} or {column.lower() for column in self.request.columns}
                for feature in block.features:
                    if feature.name.lower() in inputs | {block.key.lower()}:
                        source = block.union[0] if block.union else self.request.name
                        message = f"the name {feature.name!r} is a column of {source}, which OpenMLDB finds ambiguous beside windows: choose another."
                        self.mistakes.add(message, feature.path)

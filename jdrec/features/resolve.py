"""From configuration to a `FeatureSet`: names, types and kinds are checked, features are put into the query's blocks.

All mistakes of a configuration are reported together, each with its YAML path, the reason and the nearest valid name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from jdrec.errors import CheckError, ConfigErrors, ExpressionError, JdrecError, nearest
from jdrec.features import blocks, expand, functions, raw
from jdrec.features import expression as ast
from jdrec.features.columns import check_key, check_time
from jdrec.features.derived import with_derived
from jdrec.features.expand import Entry
from jdrec.features.frames import milliseconds
from jdrec.features.quoting import is_identifier
from jdrec.features.resolve_join import resolve_join
from jdrec.features.resolve_window import resolve_window, rows_of
from jdrec.features.scope import Rows, Scope
from jdrec.features.spec import Block, Encoding, Feature, FeatureSet, Join, Kind, Label, Table, Window, list_places
from jdrec.features.types import SqlType

if TYPE_CHECKING:
    from jdrec.config import Config, FeatureConfig


def resolve(config: Config) -> FeatureSet:
    """The feature set that a configuration describes. Reads no data.

    Raises:
        ConfigErrors: every mistake found.
    """
    return _Resolver(config).feature_set()


class _Resolver:
    def __init__(self, config: Config):
        self.dataset, self.config = config.dataset, config.features
        self.errors: list[JdrecError] = []
        self.tables: dict[str, Table] = {}
        self.joins: dict[str, Join] = {}
        self.windows: dict[str, Window] = {}

    # --- errors ---

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Keeps a mistake and goes on, so that all are shown at once."""
        try:
            yield
        except ConfigErrors as errors:
            self.errors.extend(errors.errors)
        except JdrecError as error:
            self.errors.append(error)

    def stop_on_errors(self) -> None:
        if self.errors:
            raise ConfigErrors(self.errors)

    def check_name(self, name: str, what: str, where: str) -> None:
        if not is_identifier(name):
            self.errors.append(
                CheckError(f"{name!r} cannot be {what}: SQL names are letters, digits and _, not starting with a digit.", where=where)
            )

    # --- the whole ---

    def feature_set(self) -> FeatureSet:
        self.resolve_tables()
        with self.collect():
            self.resolve_request()
        self.stop_on_errors()  # nothing else can be judged without tables
        self.resolve_derived()
        self.stop_on_errors()
        for name, join in self.config.joins.items():
            self.check_name(name, "a join's name", f"features.joins.{name}")
            with self.collect():
                self.joins[name] = resolve_join(name, join, self.tables, self.request, self.joins)
        for name, window in self.config.windows.items():
            self.check_name(name, "a window's name", f"features.windows.{name}")
            with self.collect():
                self.windows[name] = resolve_window(name, window, self.tables, self.request)
        entries = self.resolve_entries()
        label = self.resolve_label([entry.name for entry in entries])
        features = []
        for entry in entries:
            with self.collect():
                features.append(self.resolve_feature(entry))
        self.stop_on_errors()
        query: tuple[Block, ...] = ()
        with self.collect():
            query = self.make_blocks(features)
            self.check_aliases(query)
        self.stop_on_errors()
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

    # --- tables ---

    def resolve_tables(self) -> None:
        from zoneinfo import ZoneInfo

        self.check_name(self.dataset.database, "a database's name", "dataset.database")
        try:
            ZoneInfo(self.dataset.timezone)
        except (KeyError, ValueError, OSError):
            message = f"there is no time zone {self.dataset.timezone!r}: write one such as Asia/Shanghai or UTC."
            self.errors.append(CheckError(message, where="dataset.timezone"))
        for name, table in self.dataset.tables.items():
            where = f"dataset.tables.{name}"
            self.check_name(name, "a table's name", where)
            if not table.columns:
                self.errors.append(CheckError("a table has at least one column.", where=f"{where}.columns"))
            for column in table.columns:
                self.check_name(column, "a column's name", f"{where}.columns.{column}")
            if table.time is not None:
                with self.collect():
                    check_time(name, table.columns, table.time, f"{where}.time")
            self.tables[name] = Table(name, dict(table.columns), table.path, table.time, format=table.format)

    def table(self, name: str, where: str) -> Table:
        if name not in self.tables:
            raise CheckError(f"there is no table {name!r}.", where=where, hint=nearest(name, self.tables))
        return self.tables[name]

    def resolve_request(self) -> None:
        request = self.config.request
        self.request = self.table(request.table, "features.request.table")
        with self.collect():  # there are no derived columns yet: the key is a stored one
            check_key(self.request, request.key, self.request, request.key, "features.request.key")
        with self.collect():
            check_time(request.table, self.request.columns, request.time, "features.request.time")
        self.request = self.tables[request.table] = replace(self.request, time=request.time)

    def resolve_derived(self) -> None:
        """Adds derived columns to their tables."""
        for name, expressions in self.config.derived.items():
            where = f"features.derived.{name}"
            for column in expressions:
                self.check_name(column, "a column's name", f"{where}.{column}")
            with self.collect():
                self.tables[name] = with_derived(self.table(name, where), expressions)
        self.request = self.tables[self.request.name]

    # --- label ---

    def resolve_label(self, features: list[str]) -> Label | None:
        label = self.config.label
        if label is None:
            return None
        horizon = None
        with self.collect():
            if label.feature not in features:
                hint = nearest(label.feature, features)
                raise CheckError(f"there is no feature {label.feature!r}.", where="features.label.feature", hint=hint)
        with self.collect():
            try:
                horizon = milliseconds(label.horizon) if label.horizon is not None else None
            except ValueError as error:
                raise CheckError(str(error), where="features.label.horizon") from None
        with self.collect():
            if label.observed_until is not None:
                self.check_moment(label.observed_until, "features.label.observed_until")
            elif horizon is not None:
                raise CheckError(
                    "a horizon needs observed_until: the last observed moment, table.column or an ISO time.", where="features.label.horizon"
                )
        return Label(label.feature, horizon, label.observed_until)

    def check_moment(self, text: str, where: str) -> None:
        table, dot, column = text.partition(".")
        if dot and is_identifier(table) and is_identifier(column):
            check_time(table, self.table(table, where).columns, column, where)
            return
        try:
            datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            raise CheckError(f"{text!r} is neither table.column nor an ISO time such as 2016-04-10 23:59:59.", where=where) from None

    # --- features ---

    def resolve_entries(self) -> list[Entry]:
        """The configuration's entries, short forms expanded."""
        found: dict[str, Entry] = {}
        for name, config in self.config.features.items():
            with self.collect():
                for entry in expand.expand(name, config):
                    if (other := found.get(entry.name)) is not None:
                        where = f"features.features.{name}"
                        raise CheckError(
                            f"it makes a feature {entry.name!r}, as features.features.{other.group or other.name} does.", where=where
                        )
                    found[entry.name] = entry
        return list(found.values())

    def resolve_feature(self, entry: Entry) -> Feature:
        name, config, where = entry.name, entry.config, entry.path
        source = f"features.features.{entry.group or entry.name}"
        self.check_name(name, "a feature's name", where)
        if entry.over is not None and config.join is not None:
            raise CheckError("a feature is computed over a window or read from a join, not both: drop `over` or `from`.", where=source)
        window = self.find_window(entry.over, f"{source}.over")
        join = self.find_join(config.join, f"{source}.from")
        if (entry.over and window is None) or (config.join and join is None):
            raise ConfigErrors([])  # the window's or join's own mistake is reported already
        try:
            node, type_ = self.read(entry, window, join)
        except ExpressionError as error:
            raise ExpressionError(error.reason, column=error.column, where=f"{where}.expr", hint=error.hint) from None
        kind = self.kind_of(name, config, type_, where)
        if config.encoding is Encoding.LIST and (type_ is not SqlType.STRING or list_places(node) is None):
            raise CheckError(
                "encoding list is for a text with a known number of values.", where=f"{where}.encoding", hint="As topn_frequency(x, 3) has."
            )
        return Feature(name, entry.expr, node, type_, kind, entry.over, config.join, config.encoding, group=entry.group)

    def read(self, entry: Entry, window: Window | None, join: Join | None) -> tuple[ast.Node, SqlType]:
        """The tree and type of a feature's expression."""
        if entry.config.openmldb_only:
            if entry.config.type is None:
                message = "the type of an openmldb_only expression has to be said: type: string, for example."
                raise CheckError(message, where=entry.path)
            return raw.read(entry.expr, entry.config.type), entry.config.type
        if entry.config.type is not None:
            raise CheckError("only an openmldb_only expression says its type; write cast(x as type).", where=f"{entry.path}.type")
        if window is not None and window.union:
            scope = Scope(rows_of(window.union, self.tables, self.request))
        else:
            joined = {name: Rows(item.table, self.tables[item.table].types) for name, item in self.joins.items()}
            scope = Scope(Rows(self.request.name, self.request.types), joined, default=join.name if join is not None else None)
        node, type_ = scope.parse(entry.expr, windowed=window is not None)
        if window is not None and not any(isinstance(n, ast.Call) and functions.FUNCTIONS[n.name].is_aggregate for n in ast.walk(node)):
            raise ExpressionError("nothing in it runs over a window: drop `over`, or use an aggregate.")
        self.check_constants(node, window)
        return node, type_

    def check_constants(self, node: ast.Node, window: Window | None) -> None:
        """Derived columns that read no column are constants, which OpenMLDB does not aggregate."""
        union = window.union if window is not None else ()
        for call in (part for part in ast.walk(node) if isinstance(part, ast.Call) and functions.FUNCTIONS[part.name].is_aggregate):
            if any(isinstance(part, ast.Star) for part in ast.walk(call)):
                continue
            columns = [part for part in ast.walk(call) if isinstance(part, ast.Column)]
            tables = [self.joins[column.table].table if column.table else (union or (self.request.name,))[0] for column in columns]
            if columns and not any(self.tables[table].stored(column.name) for table, column in zip(tables, columns, strict=True)):
                message = f"{call.name} has nothing to run over: {columns[0].name} is made of no column."
                raise ExpressionError(message, column=call.start + 1)

    def find_window(self, name: str | None, where: str) -> Window | None:
        if name is not None and name not in self.config.windows:
            raise CheckError(f"there is no window {name!r}.", where=where, hint=nearest(name, self.config.windows))
        return self.windows.get(name) if name is not None else None

    def find_join(self, name: str | None, where: str) -> Join | None:
        if name is not None and name not in self.config.joins:
            raise CheckError(f"there is no join {name!r}.", where=where, hint=nearest(name, self.config.joins))
        return self.joins.get(name) if name is not None else None

    def kind_of(self, name: str, config: FeatureConfig, type_: SqlType, where: str) -> Kind:
        is_label = self.config.label is not None and self.config.label.feature == name
        if is_label:
            if config.kind not in (None, Kind.LABEL):
                raise CheckError(f"it is the label (features.label.feature) and cannot be {config.kind.value}.", where=f"{where}.kind")
            if not (type_.is_number or type_ is SqlType.BOOL):
                raise CheckError(f"a label is a number, this is {type_.value}.", where=where)
            kind = Kind.LABEL
        elif config.kind is Kind.LABEL:
            raise CheckError("the label is named by features.label.feature, which names another feature or none.", where=f"{where}.kind")
        else:
            kind = config.kind or (Kind.NUMERIC if type_.is_number else Kind.CATEGORICAL)
        if kind is Kind.NUMERIC and not type_.is_number:
            raise CheckError(f"a numeric feature is a number, this is {type_.value}.", where=f"{where}.kind")
        if config.encoding is not None:
            if kind in (Kind.LABEL, Kind.DROP):
                raise CheckError(f"a feature of kind {kind.value} is no field of the model and has no encoding.", where=f"{where}.encoding")
            if config.encoding not in (Encoding.HASH, Encoding.LIST) and not type_.is_number:
                raise CheckError(f"{config.encoding.value} needs a number, this is {type_.value}.", where=f"{where}.encoding")
            if config.encoding is Encoding.NUMERIC and kind is Kind.CATEGORICAL:
                raise CheckError(
                    "a categorical feature has no numeric encoding: leave out kind, or take hash or bucket.", where=f"{where}.encoding"
                )
        return kind

    # --- blocks ---

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
            self.check_name(key, "a key's name", "features.query.keys")
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
                self.errors.append(CheckError(f"the name {feature.name!r} {what}.", where=feature.path))
        for block in blocks:
            if block.windows:
                inputs = {column.name.lower() for column in block.row} or {column.lower() for column in self.request.columns}
                for feature in block.features:
                    if feature.name.lower() in inputs | {block.key.lower()}:
                        source = block.union[0] if block.union else self.request.name
                        message = f"the name {feature.name!r} is a column of {source}, which OpenMLDB finds ambiguous beside windows: choose another."
                        self.errors.append(CheckError(message, where=feature.path))

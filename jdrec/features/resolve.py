"""From configuration to a `FeatureSet`: names, types and kinds are checked, features are put into the query's blocks.

All mistakes of a configuration are reported together, each with its YAML path, the reason and the nearest valid name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from jdrec.errors import CheckError, ConfigErrors, ExpressionError, JdrecError, nearest
from jdrec.features import expression as ast
from jdrec.features import functions
from jdrec.features.columns import check_key, check_time
from jdrec.features.frames import milliseconds
from jdrec.features.infer import Inference
from jdrec.features.lexer import fail
from jdrec.features.resolve_window import resolve_window
from jdrec.features.spec import Block, Encoding, Feature, FeatureSet, Join, Kind, Label, RowColumn, Table, Window
from jdrec.features.types import SqlType

if TYPE_CHECKING:
    from jdrec.config import Config, FeatureConfig, JoinConfig

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


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
        if not _IDENTIFIER.fullmatch(name):
            self.errors.append(
                CheckError(f"{name!r} cannot be {what}: SQL names are letters, digits and _, not starting with a digit.", where=where)
            )

    # --- the whole ---

    def feature_set(self) -> FeatureSet:
        self.resolve_tables()
        with self.collect():
            self.resolve_request()
        self.stop_on_errors()  # nothing else can be judged without tables
        for name, join in self.config.joins.items():
            with self.collect():
                self.joins[name] = self.resolve_join(name, join)
        for name, window in self.config.windows.items():
            self.check_name(name, "a window's name", f"features.windows.{name}")
            with self.collect():
                self.windows[name] = resolve_window(name, window, self.tables, self.request)
        label = self.resolve_label()
        placed = []
        for name, feature in self.config.features.items():
            with self.collect():
                placed.append(self.resolve_feature(name, feature))
        self.stop_on_errors()
        blocks: tuple[Block, ...] = ()
        with self.collect():
            blocks = self.make_blocks(placed)
            self.check_aliases(blocks)
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
            blocks=blocks,
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
            self.tables[name] = Table(name, dict(table.columns), table.path, table.time)

    def table(self, name: str, where: str) -> Table:
        if name not in self.tables:
            raise CheckError(f"there is no table {name!r}.", where=where, hint=nearest(name, self.tables))
        return self.tables[name]

    def resolve_request(self) -> None:
        request = self.config.request
        self.request = self.table(request.table, "features.request.table")
        with self.collect():
            check_key(self.request, request.key, self.request, request.key, "features.request.key")
        with self.collect():
            check_time(request.table, self.request.columns, request.time, "features.request.time")
        self.request = self.tables[request.table] = replace(self.request, time=request.time)

    # --- joins ---

    def resolve_join(self, name: str, join: JoinConfig) -> Join:
        where = f"features.joins.{name}"
        self.check_name(name, "a join's name", where)
        if name == self.request.name:
            raise CheckError("a join cannot have the request table's name.", where=where)
        table = self.table(join.last_join, f"{where}.last_join")
        if isinstance(join.on, dict):
            pairs = tuple(join.on.items())
        else:
            pairs = tuple((column, column) for column in ([join.on] if isinstance(join.on, str) else join.on))
        if not pairs:
            raise CheckError("a join needs at least one column.", where=f"{where}.on")
        for left, right in pairs:
            check_key(self.request, left, table, right, f"{where}.on")
        if join.order_by is not None:
            check_time(table.name, table.columns, join.order_by, f"{where}.order_by")
        return Join(name, table.name, pairs, join.order_by)

    # --- label ---

    def resolve_label(self) -> Label | None:
        label = self.config.label
        if label is None:
            return None
        horizon = None
        with self.collect():
            if label.feature not in self.config.features:
                hint = nearest(label.feature, self.config.features)
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
        if dot and _IDENTIFIER.fullmatch(table) and _IDENTIFIER.fullmatch(column):
            check_time(table, self.table(table, where).columns, column, where)
            return
        try:
            datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            raise CheckError(f"{text!r} is neither table.column nor an ISO time such as 2016-04-10 23:59:59.", where=where) from None

    # --- features ---

    def resolve_feature(self, name: str, config: FeatureConfig) -> _Placed:
        where = f"features.features.{name}"
        self.check_name(name, "a feature's name", where)
        if config.over is not None and config.join is not None:
            raise CheckError("a feature is computed over a window or read from a join, not both: drop `over` or `from`.", where=where)
        window = self.find_window(config.over, f"{where}.over")
        join = self.find_join(config.join, f"{where}.from")
        if (config.over and window is None) or (config.join and join is None):
            raise ConfigErrors([])  # the window's or join's own mistake is reported already
        scope = _Scope(self.request, self.tables, self.joins, window, join)
        try:
            node = scope.canonical(ast.parse(config.expr))
            type_ = Inference(scope.type_of, windowed=window is not None).type_of(node)
            if type_ is None:
                raise ExpressionError("the expression is always NULL.")
            if window is not None and not any(isinstance(n, ast.Call) and functions.FUNCTIONS[n.name].is_aggregate for n in ast.walk(node)):
                raise ExpressionError("nothing in it runs over a window: drop `over`, or use an aggregate.")
        except ExpressionError as error:
            raise ExpressionError(error.reason, column=error.column, where=f"{where}.expr", hint=error.hint) from None
        kind = self.kind_of(name, config, type_, where)
        return _Placed(
            Feature(name, config.expr, node, type_, kind, config.over, config.join, config.encoding),
            uses_joins=any(isinstance(n, ast.Column) and n.table for n in ast.walk(node)),
        )

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
            if config.encoding is not Encoding.HASH and not type_.is_number:
                raise CheckError(f"{config.encoding.value} needs a number, this is {type_.value}.", where=f"{where}.encoding")
            if config.encoding is Encoding.NUMERIC and kind is Kind.CATEGORICAL:
                raise CheckError(
                    "a categorical feature has no numeric encoding: leave out kind, or take hash or bucket.", where=f"{where}.encoding"
                )
        return kind

    # --- blocks ---

    def make_blocks(self, placed: list[_Placed]) -> tuple[Block, ...]:
        """The request's block first, then joins, then one for each way in which the request becomes a row of a union."""
        rows: list[_Placed] = []
        joined: list[_Placed] = []
        unions: dict[tuple[tuple[str, ...], tuple[RowColumn, ...]], list[_Placed]] = {}
        for item in placed:
            window = self.windows[item.feature.window] if item.feature.window else None
            if window is not None and window.union:
                unions.setdefault((window.union, self.request_row(window)), []).append(item)
            elif item.uses_joins:
                joined.append(item)
            else:
                rows.append(item)
        parts: list[Block] = [Block("", "request", (), tuple(p.feature for p in rows), key=self.config.request.key)]
        if joined:
            parts.append(Block("", "join", (), tuple(p.feature for p in joined), key=self.config.request.key))
        for (union, row), members in unions.items():
            parts.append(Block("", "union", union, tuple(p.feature for p in members), row, self.key_in(row)))
        keys = self.key_names(len(parts))
        return tuple(
            replace(part, alias=f"out{n}", features=(self.key_feature(keys[n], part.key), *part.features)) for n, part in enumerate(parts)
        )

    def request_row(self, window: Window) -> tuple[RowColumn, ...]:
        """How the request becomes a row among the rows of the window's union: keys and time are taken over, the rest is zero."""
        sources = dict(zip(window.partition_by, window.request_keys, strict=True)) | {window.order_by: self.config.request.time}
        return tuple(RowColumn(name, type_, sources.get(name)) for name, type_ in self.tables[window.union[0]].columns.items())

    def key_in(self, row: tuple[RowColumn, ...]) -> str:
        """A name for the request key that no column of the union has."""
        name, taken = self.config.request.key, {column.name for column in row}
        while name in taken:
            name = f"request_{name}"
        return name

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


@dataclass(frozen=True)
class _Placed:
    feature: Feature
    uses_joins: bool


@dataclass(frozen=True)
class _Scope:
    """The columns that one expression may name."""

    request: Table
    tables: dict[str, Table]
    joins: dict[str, Join]
    window: Window | None
    join: Join | None

    @property
    def own(self) -> Table:
        """The table whose columns an unqualified name means, joins apart."""
        return self.tables[self.window.union[0]] if self.window is not None and self.window.union else self.request

    def canonical(self, node: ast.Node) -> ast.Node:
        """The tree with the registry's function names, and columns qualified by their join, or not at all.

        Raises:
            ExpressionError: an unknown column or qualifier.
        """
        return ast.transform(node, self._canonical)

    def _canonical(self, node: ast.Node) -> ast.Node:
        if isinstance(node, ast.Call) and (function := functions.find(node.name)) is not None:
            return replace(node, name=function.name)
        if not isinstance(node, ast.Column):
            return node
        table = node.table
        if table is None:
            table = self.join.name if self.join is not None else None
        elif table == self.own.name and table not in self.joins:
            table = None
        elif table not in self.joins or self.window is not None:
            valid = [self.own.name] + ([] if self.window is not None else list(self.joins))
            error = fail(f"there is no {table!r} to read columns from here.", node.start)
            raise ExpressionError(error.reason, column=error.column, hint=nearest(table, valid))
        source = self.own if table is None else self.tables[self.joins[table].table]
        if node.name not in source.columns:
            error = fail(f"table {source.name!r} has no column {node.name!r}.", node.start)
            raise ExpressionError(error.reason, column=error.column, hint=nearest(node.name, source.columns))
        return replace(node, table=table)

    def type_of(self, column: ast.Column) -> SqlType:
        source = self.own if column.table is None else self.tables[self.joins[column.table].table]
        return source.columns[column.name]

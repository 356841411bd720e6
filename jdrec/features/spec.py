"""The resolved `FeatureSet`: the only source of the SQL, the engine's plan, the encoder, the model's fields and the service's rows.

Everything here is immutable and free of I/O. `jdrec.features.resolve` makes it from the configuration.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Literal as OneOf

from jdrec.features.expression import Call, Column, Literal, Node, Raw, walk
from jdrec.features.types import SqlType


@dataclass(frozen=True)
class Derived:
    """A column that a feature set adds to a table: an expression over one row.

    `node` reads the table's columns and the derived columns before it, by their names.
    """

    name: str
    text: str
    node: Node
    type: SqlType

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns it reads, each once."""
        return tuple(dict.fromkeys(node.name for node in walk(self.node) if isinstance(node, Column)))


@dataclass(frozen=True)
class Table:
    """A table of the data set: its columns in order, its time column and where its rows lie."""

    name: str
    columns: dict[str, SqlType]  # as they are stored
    path: str  # file, folder or glob, absolute or relative to the data set's root
    time: str | None = None  # the column that orders its rows (timestamp or bigint milliseconds)
    derived: dict[str, Derived] = field(default_factory=dict)
    format: OneOf["parquet", "csv"] | None = None  # of its files; None: as their names say

    @cached_property
    def types(self) -> dict[str, SqlType]:
        """All that an expression, a key or an order may name: the stored columns, then the derived ones."""
        return self.columns | {name: derived.type for name, derived in self.derived.items()}

    def stored(self, column: str) -> tuple[str, ...]:
        """The stored columns that a column is made of: itself, unless it is derived."""
        if column not in self.derived:
            return (column,)
        return tuple(dict.fromkeys(name for source in self.derived[column].columns for name in self.stored(source)))


@dataclass(frozen=True)
class Bound:
    """One end of a window's frame, looking back from the current row."""

    value: int  # rows, or milliseconds for a time range
    text: str  # as written in SQL: "10", "14d", "0s", "unbounded"
    open: bool = False  # OPEN PRECEDING: the boundary itself is left out

    @property
    def unbounded(self) -> bool:
        """Whether it is the partition's first row; `value` is larger than any distance then."""
        return self.text == "unbounded"


@dataclass(frozen=True)
class Window:
    """A point-in-time window. Semantics: OpenMLDB's WINDOW clause."""

    name: str
    union: tuple[str, ...]  # tables whose rows are merged in, by the columns they share; empty: the request table's own rows
    partition_by: tuple[str, ...]  # columns of the windowed rows
    request_keys: tuple[str, ...]  # the request table's columns that `partition_by` is compared with
    order_by: str  # time column of the windowed rows
    frame: OneOf["rows", "rows_range"]
    start: Bound
    end: Bound
    max_size: int | None = None
    instance_not_in_window: bool = False
    exclude_current_row: bool = False
    exclude_current_time: bool = False

    @property
    def sees_request_moment(self) -> bool:
        """Whether rows of the union tables at exactly the request's own time are in the window.

        A ROWS frame counts rows, whatever their time: where it ends does not keep such rows out.
        """
        if self.exclude_current_time or not self.union:
            return False
        return self.frame == "rows" or (self.end.value == 0 and not self.end.open)

    @property
    def sees_current_row(self) -> bool:
        """Whether the request's own row is in the window."""
        return not self.exclude_current_row and self.end.value == 0 and not self.end.open


@dataclass(frozen=True)
class Join:
    """A LAST JOIN of the request table with `table`, known in SQL as `name`.

    Attributes:
        on: (column on the left, joined table's column).
        via: parallel to `on`: the earlier join that the column on the left belongs to, None for the request table; empty: all None.
        condition: what a row has to fulfil besides; columns are those of the joins, by name, or the request table's (None).
    """

    name: str
    table: str
    on: tuple[tuple[str, str], ...]
    order_by: str | None = None
    via: tuple[str | None, ...] = ()
    condition: Node | None = None
    condition_text: str = ""

    @property
    def keys(self) -> tuple[tuple[str | None, str, str], ...]:
        """(earlier join or None, its or the request table's column, joined table's column)."""
        return tuple((via, *pair) for via, pair in zip(self.via or (None,) * len(self.on), self.on, strict=True))

    @property
    def needs(self) -> tuple[str, ...]:
        """The earlier joins that it reads."""
        read = [node.table for node in walk(self.condition) if isinstance(node, Column)] if self.condition is not None else []
        return tuple(dict.fromkeys(name for name in (*self.via, *read) if name is not None and name != self.name))


class Kind(str, Enum):
    """What a feature is to the model."""

    CATEGORICAL = "categorical"
    NUMERIC = "numeric"
    LABEL = "label"
    DROP = "drop"  # computed, but not a field of the model


class Encoding(str, Enum):
    """How a field's value becomes the model's input."""

    HASH = "hash"  # a 64-bit id
    BUCKET = "bucket"  # quantile bucket learnt on the training split, then an id
    NUMERIC = "numeric"  # the value itself, standardised
    LIST = "list"  # a text of several values, as topn_frequency gives it: an id each, whose embeddings are averaged


NO_VALUE = -(2**63)  # the id of a list's place that has no value


@dataclass(frozen=True)
class Feature:
    """One output column of the query."""

    name: str
    text: str  # the expression as the user wrote it
    node: Node
    type: SqlType
    kind: Kind
    window: str | None = None  # the window it is computed over
    join: str | None = None  # the join it is read from; neither: an expression over the request row
    encoding: Encoding | None = None  # None: the default of `preprocess`
    is_block_key: bool = False  # the request key that a sub-query carries to be joined on
    group: str | None = None  # the entry of the configuration that it was expanded from

    @property
    def path(self) -> str:
        """Its place in the configuration, for messages."""
        if self.is_block_key:
            return "features.query.keys"
        return f"features.features.{self.group}[{self.name}]" if self.group else f"features.features.{self.name}"

    @property
    def slots(self) -> int:
        """Columns of the model's input that it fills: one, or as many as a list can have values."""
        if self.encoding is not Encoding.LIST:
            return 1
        places = list_places(self.node)
        assert places is not None  # resolve has checked it
        return places

    @property
    def openmldb_only(self) -> bool:
        """Whether it is SQL that only OpenMLDB reads; `node` is a `Raw` then."""
        return isinstance(self.node, Raw)

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """The columns it reads, each once, in the order of the text.

        `table` is the name of a join, or None for a column of the block's own rows.
        """
        found = {(node.table, node.name): node for node in walk(self.node) if isinstance(node, Column)}
        return tuple(found.values())


def list_places(node: Node) -> int | None:
    """How many values a list can have: n of topn_frequency(x, n) and its like; None for what is no list of known length."""
    if isinstance(node, Call) and node.name.removeprefix("fz_").startswith("top") and len(node.args) >= 2:
        last = node.args[-1]
        if isinstance(last, Literal) and isinstance(last.value, int):
            return last.value
    return None


@dataclass(frozen=True)
class RowColumn:
    """A column of the row that stands for the request among the rows of a union's tables.

    source: the request table's column, stored or derived, that fills it; None: the type's zero value ('', 0, 1970-01-01).
    """

    name: str
    type: SqlType
    source: str | None = None


@dataclass(frozen=True)
class Block:
    """One sub-query of the SQL. Its first feature is the request key that the blocks are joined on.

    kind: "request" (row expressions and windows over the request table), "join" (LAST JOIN columns, and windows over them) or
    "union" (windows that merge in `union`). Windows share a union block if the request becomes the same row in them,
    so that a feature's value depends on its own window alone.
    joins: the joins that its features read, each after those that it needs itself.
    derived: derived columns that its own rows carry as columns, for OpenMLDB takes no expression in their place.
    """

    alias: str  # out0, out1, ...
    kind: OneOf["request", "join", "union"]
    union: tuple[str, ...]
    features: tuple[Feature, ...]
    row: tuple[RowColumn, ...] = ()  # kind "union": how a request becomes a row of the union's schema
    key: str = ""  # what the request key is called among the block's rows
    joins: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()

    @property
    def windows(self) -> tuple[str, ...]:
        """Windows that its features run over, in order of first use."""
        return tuple(dict.fromkeys(feature.window for feature in self.features if feature.window))


@dataclass(frozen=True)
class Label:
    """What the model predicts: one of the features, and how long after the request it is still open."""

    feature: str
    horizon_ms: int | None = None
    observed_until: str | None = None  # "table.column" whose maximum is the last observed moment, or an ISO time


@dataclass(frozen=True)
class FeatureSet:
    """The whole definition, resolved and checked."""

    database: str
    timezone: str
    tables: dict[str, Table]
    request_table: str
    request_key: str
    request_time: str
    joins: dict[str, Join]
    windows: dict[str, Window]
    blocks: tuple[Block, ...]
    label: Label | None

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """Every output column in the query's order, block keys included."""
        return tuple(feature for block in self.blocks for feature in block.features)

    @cached_property
    def by_name(self) -> dict[str, Feature]:
        return {feature.name: feature for feature in self.features}

    @property
    def request(self) -> Table:
        return self.tables[self.request_table]

    @cached_property
    def fields(self) -> tuple[Feature, ...]:
        """The model's inputs, in order: numeric features first, then categorical ones, each in the query's order."""
        return tuple(f for kind in (Kind.NUMERIC, Kind.CATEGORICAL) for f in self.features if f.kind is kind)

    def _repr_html_(self) -> str:
        from jdrec.display import feature_set_html

        return feature_set_html(self)

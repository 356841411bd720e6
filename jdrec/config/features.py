"""Configuration of the features: request, label, joins, windows, expressions."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from jdrec.config.base import Names, PositiveInt, Section
from jdrec.features.spec import Encoding, Kind
from jdrec.features.types import SqlType


class RequestConfig(Section, frozen=True, kw_only=True):
    table: Annotated[str, Meta(description="The table with one row a prediction request.")]
    key: Annotated[str, Meta(description="Its column that names a request; unique.")]
    time: Annotated[str, Meta(description="Its time column.")]


class LabelConfig(Section, frozen=True, kw_only=True):
    feature: Annotated[str, Meta(description="The feature that is the label.")]
    horizon: Annotated[
        str | None,
        Meta(
            description="How long after the request the label is still open, e.g. 5d. Requests whose horizon is not over by observed_until are left out of the samples."
        ),
    ] = None
    observed_until: Annotated[str | None, Meta(description="Last observed moment: table.column (its maximum) or an ISO time.")] = None


class JoinConfig(Section, frozen=True, kw_only=True):
    last_join: Annotated[str, Meta(description="The table to join.")]
    on: Annotated[
        str | dict[str, str] | list[str],
        Meta(
            description="A column of both tables, several, or a mapping of request column to joined column; join.column is one of an earlier join."
        ),
    ]
    order_by: Annotated[str | None, Meta(description="Take the row with the largest value of this column.")] = None
    where: Annotated[
        str | None,
        Meta(
            description="A condition that the row has to fulfil besides; names are the joined table's, or qualified: request_table.column."
        ),
    ] = None


Exclude = Literal["instances", "current_row", "current_time"]


class WindowConfig(Section, frozen=True, kw_only=True):
    partition_by: Annotated[
        str | list[str] | dict[str, str],
        Meta(description="Key columns; a mapping where the union table's column has another name: {union column: request column}."),
    ]
    union: Annotated[
        Names, Meta(description="Table, or tables, whose rows are merged into the window, by the columns that they share.")
    ] = field(default_factory=list)
    request_row: Annotated[
        dict[str, str],
        Meta(description="What else the request has as a row of the union, as {union column: request column}; '' and 0 by default."),
    ] = field(default_factory=dict)
    order_by: Annotated[str | None, Meta(description="Time column of the windowed rows; the table's own time column by default.")] = None
    rows: Annotated[int | str | None, Meta(description="ROWS frame: how many rows back it starts, e.g. 10, '10 open' or unbounded.")] = None
    range: Annotated[
        int | str | None,
        Meta(description="ROWS_RANGE frame: how far back it starts, e.g. 14d, 10h, '7d open', unbounded; a bare number is milliseconds."),
    ] = None
    end: Annotated[
        int | str | None,
        Meta(description="Where the frame ends: 0 (the request's own moment) by default; e.g. 1, 1s, or '0s open' for strictly before."),
    ] = None
    max_size: Annotated[PositiveInt | None, Meta(description="MAXSIZE: keep only so many of the newest rows.")] = None
    exclude: Annotated[Exclude | list[Exclude], Meta(description="instances (INSTANCE_NOT_IN_WINDOW), current_row, current_time.")] = field(
        default_factory=list
    )


class FeatureConfig(Section, frozen=True, kw_only=True):
    expr: Annotated[str | None, Meta(description="OpenMLDB expression.")] = None
    over: Annotated[
        Names | None, Meta(description="Window that its aggregates run over; with several, the entry stands for a feature of each.")
    ] = None
    join: Annotated[str | None, Meta(description="Join whose columns it reads.")] = field(default=None, name="from")
    kind: Annotated[
        Kind | None,
        Meta(description="categorical, numeric, label or drop; by default from the type: numbers are numeric, all else categorical."),
    ] = None
    encoding: Annotated[
        Encoding | None,
        Meta(description="hash, bucket or numeric; by default preprocess.numeric for numeric features, hash for categorical ones."),
    ] = None
    columns: Annotated[Names, Meta(description="Short form: the entry stands for a feature of each of these columns.")] = field(
        default_factory=list
    )
    functions: Annotated[
        Names | dict[str, str],
        Meta(
            description="Short form: functions of each column, such as distinct_count or 'topn_frequency({column}, 3)'; a mapping names them."
        ),
    ] = field(default_factory=list)
    name: Annotated[
        str | None,
        Meta(description="Short form: pattern of the names; by default those of {window} or {from}, {column} and {function}, joined by _."),
    ] = None
    openmldb_only: Annotated[
        bool, Meta(description="The expression is SQL for OpenMLDB alone, OVER included; it goes into the query as it is.")
    ] = False
    type: Annotated[SqlType | None, Meta(description="Type of an openmldb_only expression; OpenMLDB's compiler checks it.")] = None


class QueryConfig(Section, frozen=True, kw_only=True):
    keys: Annotated[
        list[str] | None,
        Meta(description="Names of the key column that each sub-query carries, in order. Only needed to match an existing deployment."),
    ] = None
    keys_are_fields: Annotated[
        bool, Meta(description="Feed these per-row ids to the model, as the tutorial does. They cannot generalise.")
    ] = False


class FeaturesConfig(Section, frozen=True, kw_only=True):
    request: RequestConfig
    label: LabelConfig | None = None
    joins: Annotated[dict[str, JoinConfig], Meta(description="Name to LAST JOIN; the name is its alias in SQL.")] = field(
        default_factory=dict
    )
    windows: Annotated[dict[str, WindowConfig], Meta(description="Name to window; the name is the same in SQL.")] = field(
        default_factory=dict
    )
    derived: Annotated[
        dict[str, dict[str, str]],
        Meta(description="Columns added to tables, as {table: {column: expression over its row}}, for keys, orders and expressions."),
    ] = field(default_factory=dict)
    features: Annotated[dict[str, FeatureConfig], Meta(description="Name to definition, in the query's order.")]
    select: Annotated[
        Names, Meta(description="Patterns (* and ?) of the fields to keep; all by default. The label and features of kind drop stay.")
    ] = field(default_factory=list)
    drop: Annotated[Names, Meta(description="Patterns of the features to leave out; the label stays.")] = field(default_factory=list)
    query: QueryConfig = QueryConfig()

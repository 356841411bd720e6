"""Configuration of the tables: where they lie, their columns, how they are generated."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from jdrec.config.base import Section
from jdrec.features.types import SqlType


class TableConfig(Section, frozen=True, kw_only=True):
    path: Annotated[str, Meta(description="Parquet or CSV: a file, a folder or a glob, relative to dataset.root.")]
    format: Annotated[
        Literal["parquet", "csv"] | None, Meta(description="What the files are; needed only for a folder that this machine does not see.")
    ] = None
    time: Annotated[str | None, Meta(description="The column that orders the rows: a timestamp, or a bigint of milliseconds.")] = None
    columns: Annotated[dict[str, SqlType], Meta(description="Column name to OpenMLDB type, in the table's order.")]


class JdGeneratorConfig(Section, frozen=True, kw_only=True, tag_field="generator", tag="jd"):
    """Tables of the JD schema."""

    users: Annotated[int, Meta(ge=1, le=1_000_000_000, description="Number of users.")] = 2_000
    products: Annotated[int, Meta(ge=1, le=1_000_000_000, description="Number of products.")] = 500
    actions: Annotated[int, Meta(ge=0, description="Rows of bo_action.")] = 100_000
    requests: Annotated[int, Meta(ge=1, description="Rows of flattenRequest, and of action.")] = 20_000
    days: Annotated[int, Meta(ge=1, le=10_000, description="Length of the generated period in days; it starts on 2016-02-01.")] = 75
    hot_pairs: Annotated[int, Meta(ge=0, description="Pairs of user and product that have hot_rows rows of bo_action each.")] = 0
    hot_rows: Annotated[int, Meta(ge=1, description="Rows of bo_action that each hot pair has at least; they count among the actions.")] = (
        100_000
    )
    label_rate: Annotated[float, Meta(gt=0, lt=1, description="Share of positive labels that is aimed at.")] = 0.11
    shuffle: Annotated[bool, Meta(description="Write rows in random order instead of time order.")] = False
    seed: Annotated[int, Meta(ge=0, description="Seed of the generator.")] = 2016


class AdGeneratorConfig(Section, frozen=True, kw_only=True, tag_field="generator", tag="ads"):
    """Ad clicks."""

    users: Annotated[int, Meta(ge=1, le=1_000_000_000, description="Number of users.")] = 2_000
    ads: Annotated[int, Meta(ge=1, le=1_000_000_000, description="Number of ads.")] = 300
    visits: Annotated[int, Meta(ge=0, description="Rows of visit: pages that users read.")] = 100_000
    requests: Annotated[int, Meta(ge=1, description="Rows of impression: ads that users are shown.")] = 20_000
    days: Annotated[int, Meta(ge=1, le=10_000, description="Length of the generated period in days; it starts on 2024-03-04.")] = 30
    label_rate: Annotated[float, Meta(gt=0, lt=1, description="Share of clicked impressions that is aimed at.")] = 0.12
    shuffle: Annotated[bool, Meta(description="Write rows in random order instead of time order.")] = False
    seed: Annotated[int, Meta(ge=0, description="Seed of the generator.")] = 2024


GeneratorConfig = JdGeneratorConfig | AdGeneratorConfig


class DatasetConfig(Section, frozen=True, kw_only=True):
    root: Annotated[str, Meta(min_length=1, description="Folder that holds the tables.")]
    database: Annotated[str, Meta(description="Name of the OpenMLDB database.")]
    timezone: Annotated[
        str,
        Meta(
            description="Zone of times that have none, in CSV files and in label.observed_until. Calendar functions count in UTC+8, as OpenMLDB's."
        ),
    ] = "Asia/Shanghai"
    tables: Annotated[dict[str, TableConfig], Meta(description="The tables, in the order in which they are created and loaded.")]
    generate: Annotated[
        GeneratorConfig | None,
        Meta(
            description="Generate the tables into root when they are missing or were made with other settings; generator says which tables."
        ),
    ] = None

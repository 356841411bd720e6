"""Configuration of task=score: scores of a whole table, ranked."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from jdrec.config.base import PositiveInt, Section


class ScoreConfig(Section, frozen=True, kw_only=True):
    requests: Annotated[
        Annotated[str, Meta(min_length=1)] | None,
        Meta(description="Rows to score: a Parquet or CSV file, a folder or a glob; by default the request table itself."),
    ] = None
    rows: Annotated[
        Literal["table", "candidates"] | None,
        Meta(
            description="table: the rows are the request table, and each one's windows see those before it, as in training; candidates: each "
            "row is asked alone and sees the stored tables, as in the prediction service. By default table for the request table and "
            "candidates for other rows."
        ),
    ] = None
    user: Annotated[str | None, Meta(description="The column that names the user.")] = None
    product: Annotated[str | None, Meta(description="The column that names what is offered to the user.")] = None
    products_per_user: Annotated[int, Meta(ge=0, description="Best products listed for each user; 0: no such list.")] = 10
    users_per_product: Annotated[int, Meta(ge=0, description="Best users listed for each product; 0: no such list.")] = 100
    out: Annotated[
        Annotated[str, Meta(min_length=1)] | None, Meta(description="Folder of the results; `scores` in the run's folder by default.")
    ] = None
    format: Annotated[Literal["parquet", "csv"], Meta(description="Of the ranked lists.")] = "parquet"
    keep_rows: Annotated[bool, Meta(description="Keep the score of every row, too.")] = True
    chunk_rows: Annotated[PositiveInt, Meta(description="Rows scored at a time; a killed run goes on after the last whole chunk.")] = 50_000
    memory_rows: Annotated[int, Meta(ge=1000, description="Rows that ranking holds in memory; more are ranked in several passes.")] = (
        1_000_000
    )

"""Configuration of evaluation."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from jdrec.config.base import Names, Section


class EvaluateConfig(Section, frozen=True, kw_only=True):
    gauc_by: Annotated[
        str | None, Meta(description="Column whose groups GAUC compares within, e.g. user_id; it is in preprocess.keep.")
    ] = None
    by: Annotated[Names, Meta(description="Columns by whose values metrics are given, too; they are in preprocess.keep.")] = field(
        default_factory=list
    )
    most_groups: Annotated[int, Meta(ge=1, description="Groups of each such column, the largest ones.")] = 20
    time: Annotated[str | None, Meta(description="Timestamp column by whose slices metrics are given, too; it is in preprocess.keep.")] = (
        None
    )
    slice: Annotated[str, Meta(pattern="^[1-9][0-9]*[hd]$", description="Length of a slice: hours or days, as in 6h or 1d.")] = "1d"
    bootstrap: Annotated[int, Meta(ge=0, description="Resamples of each split for the metrics' confidence intervals; 0: none.")] = 500
    confidence: Annotated[float, Meta(gt=0, lt=1, description="Of the intervals.")] = 0.95

"""Configuration of task=verify: whether what is served is what was trained."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from jdrec.config.base import PositiveInt, Section


class VerifyConfig(Section, frozen=True, kw_only=True):
    requests: Annotated[
        str,
        Meta(min_length=1, description="table: the requests of the request table; or the folder of a prediction service's request log."),
    ] = "table"
    features: Annotated[
        Literal["embedded", "openmldb"],
        Meta(description="The online path: in this process, or the APIServer (or feature server) at openmldb.endpoint."),
    ] = "embedded"
    service: Annotated[
        Annotated[str, Meta(pattern=r"^https?://")] | None,
        Meta(description="URL of a prediction service that is asked for features and scores, http://host:port."),
    ] = None
    insert: Annotated[
        Literal["all", "requests", "none"],
        Meta(
            description="Rows that are inserted while requests are replayed: all, in order of arrival; requests alone, the other tables are "
            "there; none, the online path is asked as it stands."
        ),
    ] = "all"
    limit: Annotated[PositiveInt | None, Meta(description="Replay only so many requests, the first that arrived.")] = None
    batch: Annotated[
        Annotated[int, Meta(ge=1, le=10_000)] | None,
        Meta(
            description="Most requests a call, by default 1 in this process and 100 over HTTP; what arrived between them is inserted before "
            "them, and requests that share a window are never in one call."
        ),
    ] = None
    tolerance: Annotated[
        float, Meta(ge=0, description="Largest difference of two floating features, relative to the larger one; 0: the same bit for bit.")
    ] = 0.0
    score_tolerance: Annotated[
        float, Meta(ge=0, description="Largest difference of two scores: products of matrices round by their number of rows.")
    ] = 1e-6
    examples: Annotated[int, Meta(ge=0, description="Examples shown of each feature that differs.")] = 3

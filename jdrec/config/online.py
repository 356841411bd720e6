"""Configuration of the embedded online store and of the feature server over it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from jdrec.config.base import Section


class TtlConfig(Section, frozen=True, kw_only=True):
    type: Annotated[
        Literal["absolute", "latest", "absorlat", "absandlat"],
        Meta(description="OpenMLDB's TTL_TYPE: a row expires by its age, by its rank, by either or by both."),
    ]
    minutes: Annotated[int, Meta(ge=0, description="Age at which a row expires, minutes before now; 0: age does not count.")] = 0
    rows: Annotated[int, Meta(ge=0, description="Newest rows of a key that are kept; 0: their number does not count.")] = 0


class FeatureServerConfig(Section, frozen=True, kw_only=True):
    host: Annotated[str, Meta(description="Address that task=feature_server binds.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Its port, by default the APIServer's; 0 picks a free one.")] = 9080
    max_rows: Annotated[int, Meta(ge=1, description="Most rows in one call.")] = 10_000
    max_body_bytes: Annotated[int, Meta(ge=1, description="Largest request body.")] = 16 << 20
    shutdown_timeout_s: Annotated[float, Meta(gt=0, description="How long accepted calls may take to finish when it stops.")] = 10.0


class OnlineConfig(Section, frozen=True, kw_only=True):
    dir: Annotated[
        str | None,
        Meta(
            description="Folder of the durable store; the first start fills it from the tables. null: in memory only, loaded at each start."
        ),
    ] = None
    fsync: Annotated[
        Literal["commit", "checkpoint"],
        Meta(
            description="When rows are forced to the disk. commit: before an insert is acknowledged, so that a loss of power costs nothing; "
            "checkpoint: now and then, so that a killed process costs nothing and a loss of power the last inserts."
        ),
    ] = "commit"
    drop_damaged: Annotated[
        bool, Meta(description="Open a store whose log is damaged before its end, and give up the inserts that follow the damage.")
    ] = False
    ttl: Annotated[
        Literal["forever", "derived"] | dict[str, TtlConfig],
        Meta(
            description="How long rows are kept. forever; derived: as OpenMLDB derives it from the deployed query; or by table, others for ever. "
            "Ages count from now, so replayed old data would be gone at once."
        ),
    ] = "forever"
    max_memory_mb: Annotated[int, Meta(ge=0, description="Inserts that would make the store larger are refused; 0: no limit.")] = 0
    preload: Annotated[
        list[str] | None, Meta(description="Tables that are loaded at first, the others start empty; null: all that the features read.")
    ] = None
    server: FeatureServerConfig = field(default_factory=FeatureServerConfig)

"""Configuration of task=init, which writes a starter configuration."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from jdrec.config.base import Section


class InitConfig(Section, frozen=True, kw_only=True):
    """task=init."""

    folder: Annotated[str | None, Meta(description="Folder of Parquet or CSV files to look at.")] = None
    out: Annotated[str, Meta(description="Folder to write the configuration to; --config-dir takes it.")] = "conf_mine"
    name: Annotated[
        Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None,
        Meta(description="Name of the experiment; the folder's by default."),
    ] = None

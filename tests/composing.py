"""Composing the shipped configuration in a test."""

from __future__ import annotations

from functools import cache

from jdrec.config import Config, defaults
from jdrec.paths import CONF


@cache
def composed(*overrides: str) -> Config:
    """The checked configuration that these command line overrides give."""
    from hydra import compose, initialize_config_dir
    from hydra.core.config_store import ConfigStore

    from jdrec.composition import typed

    ConfigStore.instance().store(name="schema_defaults", node=defaults())
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return typed(compose("config", overrides=list(overrides)))

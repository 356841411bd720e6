"""Composing the shipped configuration in a test."""

from __future__ import annotations

from functools import cache

from jdrec.composition import compose
from jdrec.config import Config


@cache
def composed(*overrides: str) -> Config:
    """The checked configuration that these command line overrides give."""
    return compose(overrides)

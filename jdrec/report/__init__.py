"""report.html: one page a run and one a sweep, with everything in it."""

from __future__ import annotations

from importlib.util import find_spec

from jdrec.config import Config

LIBRARY = "vl_convert"


def skipped(config: Config) -> str | None:
    """Why a run with this configuration writes no page; None: it does."""
    return missing() if config.report.enabled else "report.enabled=false"


def missing() -> str | None:
    """What a page lacks here; None: nothing."""
    return "its charts need Vega-Lite: pip install 'jdrec[report]'" if find_spec(LIBRARY) is None else None

"""report.html: one page a run and one a sweep, with everything in it."""

from __future__ import annotations

from importlib.util import find_spec

from jdrec.config import Config

LIBRARY = "vl_convert"


def skipped(config: Config) -> str | None:
    """Why a run with this configuration writes no page; None: it does."""
    if not config.report.enabled:
        return "report.enabled=false"
    if find_spec(LIBRARY) is None:
        return "its charts need Vega-Lite: pip install 'jdrec[report]'"
    return None

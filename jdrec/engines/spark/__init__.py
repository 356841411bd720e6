"""The feature query on OpenMLDB's own batch engine, through PySpark 3.2: on this machine or on a cluster."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from jdrec.errors import MissingExtra


def pyspark_folder() -> Path:
    """Where PySpark is installed; it is not imported.

    Raises:
        MissingExtra: it is not installed.
    """
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise MissingExtra("PySpark", "spark", where="engine")
    return Path(spec.origin).parent

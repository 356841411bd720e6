"""Where features are computed. The embedded engine computes them in this process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jdrec.dataset.tables import TableSet
    from jdrec.engines.report import ExtractReport
    from jdrec.features.spec import FeatureSet
    from jdrec.progress import Progress


def extract(feature_set: FeatureSet, tables: TableSet, out: Path, *, threads: int, progress: Progress) -> ExtractReport:
    """Computes all features of the request table into one Parquet file. See `embedded.extract`."""
    from jdrec.engines.embedded.extract import extract as run

    return run(feature_set, tables, out, threads=threads, progress=progress)

"""From an engine's name to its work."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jdrec.engines import data_checks
from jdrec.errors import EngineError, nearest

if TYPE_CHECKING:
    from jdrec.config import Config
    from jdrec.dataset.tables import TableSet
    from jdrec.engines.report import ExtractReport
    from jdrec.features.spec import FeatureSet
    from jdrec.progress import Progress


log = logging.getLogger(__name__)


def extract_with(engine: str, feature_set: FeatureSet, tables: TableSet, out: Path, *, config: Config, progress: Progress) -> ExtractReport:
    """Computes all features of all requests with the named engine, if the tables are fit for it.

    Args:
        out: the Parquet file to write: columns of `feature_set.features`, rows in the request table's order.

    Raises:
        ConfigErrors: the tables cannot be right, see `data_checks`.
        JdrecError: the engine cannot run here, or cannot run this feature set.
    """
    warnings = data_checks.check(feature_set, tables, events=False)
    for warning in warnings:
        log.debug("warning: %s", warning)
    report = _extract(engine, feature_set, tables, out, config, progress)
    return replace(report, warnings=len(warnings))


def _extract(engine: str, feature_set: FeatureSet, tables: TableSet, out: Path, config: Config, progress: Progress) -> ExtractReport:
    if engine == "embedded":
        from jdrec.engines import extract

        return extract(feature_set, tables, out, threads=config.engine.threads, progress=progress)
    if engine == "spark":
        from jdrec.engines.spark.extract import extract as spark_extract

        return spark_extract(feature_set, tables, out, config=config, progress=progress)
    if engine == "openmldb":
        from jdrec.engines.openmldb import extract as cluster_extract

        return cluster_extract(feature_set, tables, out, config=config, progress=progress)
    raise EngineError(f"there is no engine {engine!r}.", where="engine.name", hint=nearest(engine, ("embedded", "spark", "openmldb")))

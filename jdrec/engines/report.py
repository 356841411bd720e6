"""What an engine says about an extraction."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ExtractReport:
    """The size and the cost of a table of features.

    Attributes:
        peak_memory_bytes: most resident memory of the engine's process; a cluster's executors are not counted.
        warnings: how many the tables gave (see `data_checks`).
    """

    rows: int
    columns: int
    seconds: float
    peak_memory_bytes: int
    warnings: int = 0

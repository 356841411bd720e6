"""Configuration of report.html, and of the permutation importance that it shows."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from jdrec.config.base import Names, Section


class ReportConfig(Section, frozen=True, kw_only=True):
    enabled: Annotated[
        bool, Meta(description="Write report.html at the end of a run and of a sweep, where the report extra is installed.")
    ] = True
    rows: Annotated[int, Meta(ge=1000, description="Most rows of a table, and of a split, that its statistics and curves look at.")] = (
        500_000
    )
    groups: Annotated[
        Names, Meta(description="Features by whose values it shows the test AUC; by default up to four that have few values.")
    ] = field(default_factory=list)
    figures: Annotated[
        Names,
        Meta(description="Figures to show, as bench scripts write them with --json FILE; those in bench/ of the run folder are found."),
    ] = field(default_factory=list)


class ImportanceConfig(Section, frozen=True, kw_only=True):
    """task=importance."""

    split: Annotated[Literal["test", "valid"], Meta(description="Samples to permute.")] = "test"
    metric: Annotated[Literal["auc", "logloss"], Meta(description="What becomes worse when a feature is permuted.")] = "auc"
    repeats: Annotated[int, Meta(ge=2, description="Permutations of each feature.")] = 5
    rows: Annotated[int, Meta(ge=100, description="Most samples, drawn by the seed where there are more.")] = 50_000
    confidence: Annotated[float, Meta(gt=0, lt=1, description="Of the interval of the mean over the permutations.")] = 0.95

"""Configuration of encoding and splits."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from jdrec.config.base import Names, Section
from jdrec.features.spec import Encoding


class SplitConfig(Section, frozen=True, kw_only=True):
    by: Annotated[
        Literal["time", "random", "row_order"],
        Meta(description="time: the newest requests are the test; random: seeded; row_order: as the rows come."),
    ] = "time"
    train: Annotated[float, Meta(gt=0, lt=1, description="Share of the training split.")] = 0.8
    test: Annotated[float, Meta(ge=0, lt=1, description="Share of the test split; validation gets the rest.")] = 0.1

    def __post_init__(self) -> None:
        if self.train + self.test > 1 + 1e-9:
            raise ValueError(f"train {self.train:g} and test {self.test:g} are more than the whole.")


class PreprocessConfig(Section, frozen=True, kw_only=True):
    encoding: Annotated[
        Literal["canonical", "tutorial"],
        Meta(description="canonical: typed and salted by field; tutorial: xxh64 of the text that pandas would have read."),
    ] = "canonical"
    hash_seed: Annotated[int, Meta(ge=0, description="Seed of xxh64.")] = 10
    columns: Annotated[
        Literal["names", "tutorial"], Meta(description="Sample columns: the features' names, or the tutorial's Label, I1.., C1...")
    ] = "names"
    numeric: Annotated[Encoding, Meta(description="Encoding of numeric features that do not name one.")] = Encoding.BUCKET
    buckets: Annotated[int, Meta(ge=2, description="Quantile buckets of a bucketised feature.")] = 32
    split: SplitConfig = SplitConfig()
    folds: Annotated[
        int,
        Meta(
            ge=0,
            le=19,
            description="Time cross-validation beside the split: so many times, train on the blocks of samples before a block and test on it; 0: none.",
        ),
    ] = 0
    keep: Annotated[
        Names, Meta(description="Output columns copied into the samples besides label and fields, for metrics by group or time.")
    ] = field(default_factory=list)

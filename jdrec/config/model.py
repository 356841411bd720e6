"""Configuration of the network."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from jdrec.config.base import PositiveInt, Section


class ModelConfig(Section, frozen=True, kw_only=True):
    name: Annotated[Literal["deepfm"], Meta(description="DeepFM (arXiv 1703.04247).")] = "deepfm"
    embedding_dim: Annotated[int, Meta(ge=1, description="Length of an embedding vector.")] = 16
    dnn: Annotated[list[PositiveInt], Meta(description="Units of the hidden layers.")] = field(default_factory=lambda: [400] * 3)
    dropout: Annotated[float, Meta(ge=0, lt=1, description="Dropout of the hidden layers.")] = 0.2
    min_count: Annotated[
        int, Meta(ge=1, description="Ids rarer than this in the training split share their field's row for ids never seen, and train it.")
    ] = 1

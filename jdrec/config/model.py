"""Configuration of the network."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from jdrec.config.base import Names, PositiveInt, Section


class GatesConfig(Section, frozen=True, kw_only=True):
    first: Annotated[Names, Meta(description="Fields that the gate of the first stream looks at; none: no gate.")] = field(
        default_factory=list
    )
    second: Annotated[Names, Meta(description="The same of the second stream.")] = field(default_factory=list)


class ModelConfig(Section, frozen=True, kw_only=True):
    name: Annotated[
        Literal["lr", "fm", "wide_deep", "deepfm", "dcn_v2", "finalmlp"],
        Meta(
            description="Logistic regression, factorization machine, Wide & Deep (arXiv 1606.07792), DeepFM (1703.04247), DCN-V2 (2008.13535), "
            "FinalMLP (2304.00902)."
        ),
    ] = "deepfm"
    embedding_dim: Annotated[int, Meta(ge=1, description="Length of an embedding vector.")] = 16
    dnn: Annotated[list[PositiveInt], Meta(description="Units of the hidden layers.")] = field(default_factory=lambda: [400] * 3)
    dropout: Annotated[float, Meta(ge=0, lt=1, description="Dropout of the hidden layers.")] = 0.2
    cross_layers: Annotated[int, Meta(ge=1, description="DCN-V2: cross layers.")] = 3
    second_dnn: Annotated[list[PositiveInt], Meta(description="FinalMLP: units of the second stream; empty: those of dnn.")] = field(
        default_factory=list
    )
    heads: Annotated[int, Meta(ge=1, description="FinalMLP: heads of the fusion; they divide the last layer of both streams.")] = 1
    gates: GatesConfig = GatesConfig()
    min_count: Annotated[
        int, Meta(ge=1, description="Ids rarer than this in the training split share their field's row for ids never seen, and train it.")
    ] = 1
    max_table_mb: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="Most memory of the embedding table with its optimizer's state, MiB: the rarest ids lose their rows."),
    ] = None

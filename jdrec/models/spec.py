"""What a model is made of, apart from its weights: the part of a checkpoint that is plain JSON."""

from __future__ import annotations

import msgspec

from jdrec.features.spec import Encoding


class FieldSpec(msgspec.Struct, frozen=True):
    """One input of the model.

    rows: rows of the embedding table that are the field's own: one for ids unseen in training and one per known id, or a single one,
    scaled by the value, for a numeric field.
    """

    name: str
    encoding: Encoding
    rows: int

    @property
    def is_numeric(self) -> bool:
        return self.encoding is Encoding.NUMERIC


class ModelSpec(msgspec.Struct, frozen=True):
    """Name, inputs and sizes of a model."""

    name: str
    fields: tuple[FieldSpec, ...]
    embedding_dim: int
    dnn: tuple[int, ...]
    dropout: float

    @property
    def rows(self) -> int:
        """Rows of the embedding table, all fields together."""
        return sum(field.rows for field in self.fields)

    @property
    def numeric(self) -> tuple[int, ...]:
        """Positions of the numeric fields."""
        return tuple(i for i, field in enumerate(self.fields) if field.is_numeric)

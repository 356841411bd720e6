"""What a model is made of, apart from its weights: the part of a checkpoint that is plain JSON."""

from __future__ import annotations

import msgspec

from jdrec.features.spec import Encoding


class FieldSpec(msgspec.Struct, frozen=True):
    """One input of the model.

    rows: rows of the embedding table that are the field's own: one for ids unseen in training and one per known id, or a single one,
    scaled by the value, for a numeric field.
    slots: columns of the input that are the field's own: 1, or as many as a multi-valued field can have values.
    """

    name: str
    encoding: Encoding
    rows: int
    slots: int = 1

    @property
    def is_numeric(self) -> bool:
        return self.encoding is Encoding.NUMERIC


class ModelSpec(msgspec.Struct, frozen=True):
    """Name, inputs and sizes of a model. What a model has no use for is ignored.

    dnn: units of the hidden layers; of FinalMLP's first stream.
    cross_layers: of DCN-V2.
    second_dnn, heads: units of FinalMLP's second stream, and the heads of its fusion.
    gates: positions of the fields that FinalMLP's gate of each stream looks at; empty: no gate.
    """

    name: str
    fields: tuple[FieldSpec, ...]
    embedding_dim: int
    dnn: tuple[int, ...]
    dropout: float
    cross_layers: int = 3
    second_dnn: tuple[int, ...] = ()
    heads: int = 1
    gates: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())

    @property
    def rows(self) -> int:
        """Rows of the embedding table, all fields together."""
        return sum(field.rows for field in self.fields)

    @property
    def width(self) -> int:
        """Numbers of all fields' vectors, one after the other: the input of a network."""
        return len(self.fields) * self.embedding_dim

    @property
    def columns(self) -> int:
        """Columns of the input, all fields together."""
        return sum(field.slots for field in self.fields)

    @property
    def field_of_column(self) -> tuple[int, ...]:
        """The field that each column of the input belongs to."""
        return tuple(i for i, field in enumerate(self.fields) for _ in range(field.slots))

    @property
    def numeric(self) -> tuple[int, ...]:
        """Columns of the numeric fields."""
        return tuple(column for column, i in enumerate(self.field_of_column) if self.fields[i].is_numeric)

"""How a row of the embedding table lies in memory.

A row holds what one lazy Adam step reads and writes, side by side, so that a row costs few memory transactions:

    vector [dim] | linear weight | its moments (2) | padding | first moments [dim] | padding | second moments [dim] | padding

Each part begins at a multiple of 4 floats (16 bytes): a thread then reads 4 numbers at once.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RowLayout:
    """Positions, in floats, within a row of vectors of length `dim`."""

    dim: int

    @property
    def linear(self) -> int:
        """The weight of the linear term; its first and second moment follow."""
        return self.dim

    @property
    def first(self) -> int:
        """First moments of the vector."""
        return _aligned(self.dim + 3)

    @property
    def second(self) -> int:
        """Second moments of the vector."""
        return self.first + _aligned(self.dim)

    @property
    def floats(self) -> int:
        """Length of a row: 52 floats for vectors of 16."""
        return self.second + _aligned(self.dim)

    @property
    def gradient_floats(self) -> int:
        """Length of a row's gradient: the vector's, then the linear weight's, then padding."""
        return _aligned(self.dim + 1)


def _aligned(floats: int) -> int:
    return -(-floats // 4) * 4

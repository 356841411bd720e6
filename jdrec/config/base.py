"""What every section of the configuration is made of."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class Section(Struct, frozen=True, forbid_unknown_fields=True):
    """A mapping in the YAML. Unknown keys are errors; values do not change after loading."""


PositiveInt = Annotated[int, Meta(ge=1)]
Names = str | list[str]  # one name or several; `names` makes a list of it


def names(value: str | list[str]) -> list[str]:
    """A list, whether one name or several were written."""
    return [value] if isinstance(value, str) else list(value)

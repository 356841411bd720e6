"""The label of a configuration, and when it is known."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from jdrec.errors import CheckError, nearest
from jdrec.features.columns import check_time
from jdrec.features.frames import milliseconds
from jdrec.features.mistakes import Mistakes
from jdrec.features.quoting import is_identifier
from jdrec.features.resolve_tables import find_table
from jdrec.features.spec import Label, Table

if TYPE_CHECKING:
    from jdrec.config import LabelConfig


def resolve_label(label: LabelConfig | None, features: list[str], tables: dict[str, Table], mistakes: Mistakes) -> Label | None:
    """The label, one of the features' names."""
    if label is None:
        return None
    horizon = None
    with mistakes.collect():
        if label.feature not in features:
            hint = nearest(label.feature, features)
            raise CheckError(f"there is no feature {label.feature!r}.", where="features.label.feature", hint=hint)
    with mistakes.collect():
        try:
            horizon = milliseconds(label.horizon) if label.horizon is not None else None
        except ValueError as error:
            raise CheckError(str(error), where="features.label.horizon") from None
    with mistakes.collect():
        if label.observed_until is not None:
            _check_moment(label.observed_until, tables, "features.label.observed_until")
        elif horizon is not None:
            message = "a horizon needs observed_until: the last observed moment, table.column or an ISO time."
            raise CheckError(message, where="features.label.horizon")
    return Label(label.feature, horizon, label.observed_until)


def _check_moment(text: str, tables: dict[str, Table], where: str) -> None:
    table, dot, column = text.partition(".")
    if dot and is_identifier(table) and is_identifier(column):
        check_time(table, find_table(table, tables, where).columns, column, where)
        return
    try:
        datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise CheckError(f"{text!r} is neither table.column nor an ISO time such as 2016-04-10 23:59:59.", where=where) from None

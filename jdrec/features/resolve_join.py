"""One LAST JOIN: its keys, order and further condition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jdrec.errors import CheckError, ExpressionError, nearest
from jdrec.features import expression as ast
from jdrec.features.columns import check_key, check_time
from jdrec.features.scope import Rows, Scope
from jdrec.features.spec import Join, Table
from jdrec.features.types import SqlType

if TYPE_CHECKING:
    from jdrec.config import JoinConfig


def resolve_join(name: str, config: JoinConfig, tables: dict[str, Table], request: Table, earlier: dict[str, Join]) -> Join:
    """The join that a configuration describes.

    Args:
        earlier: the joins before it, whose columns it may read.

    Raises:
        CheckError: with the YAML path.
        ExpressionError: of its condition.
    """
    where = f"features.joins.{name}"
    if name == request.name:
        raise CheckError("a join cannot have the request table's name.", where=where)
    if config.last_join not in tables:
        raise CheckError(f"there is no table {config.last_join!r}.", where=f"{where}.last_join", hint=nearest(config.last_join, tables))
    table = tables[config.last_join]
    if isinstance(config.on, dict):
        written = list(config.on.items())
    else:
        written = [(column, column) for column in ([config.on] if isinstance(config.on, str) else config.on)]
    if not written:
        raise CheckError("a join needs at least one column.", where=f"{where}.on")
    keys = [(*_left(left, tables, request, earlier, f"{where}.on"), right) for left, right in written]
    for via, left, right in keys:
        check_key(tables[earlier[via].table] if via else request, left, table, right, f"{where}.on")
    if config.order_by is not None:
        check_time(table.name, table.types, config.order_by, f"{where}.order_by")
    return Join(
        name,
        table.name,
        tuple((left, right) for _, left, right in keys),
        config.order_by,
        tuple(via for via, _, _ in keys) if any(via for via, _, _ in keys) else (),
        _condition(name, config, tables, request, earlier),
        config.where or "",
    )


def _left(written: str, tables: dict[str, Table], request: Table, earlier: dict[str, Join], where: str) -> tuple[str | None, str]:
    """The earlier join, or None for the request table, and the column of a key on the left."""
    qualifier, dot, column = written.partition(".")
    if not dot or qualifier == request.name:
        return None, column if dot else written
    if qualifier not in earlier:
        raise CheckError(f"there is no join {qualifier!r} before this one.", where=where, hint=nearest(qualifier, [request.name, *earlier]))
    return qualifier, column


def _condition(name: str, config: JoinConfig, tables: dict[str, Table], request: Table, earlier: dict[str, Join]) -> ast.Node | None:
    if config.where is None:
        return None
    where = f"features.joins.{name}.where"
    joined = {other: Rows(join.table, tables[join.table].types) for other, join in earlier.items()}
    joined[name] = Rows(config.last_join, tables[config.last_join].types)
    try:
        node, type_ = Scope(Rows(request.name, request.types), joined, default=name).parse(config.where)
    except ExpressionError as error:
        raise ExpressionError(error.reason, column=error.column, where=where, hint=error.hint) from None
    if type_ is not SqlType.BOOL:
        raise CheckError(f"a condition is needed here, not {type_.value}.", where=where)
    return node

"""One feature of a configuration: its expression's tree and type, its kind and encoding."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jdrec.errors import CheckError, ConfigErrors, ExpressionError, nearest
from jdrec.features import expression as ast
from jdrec.features import functions, raw
from jdrec.features.expand import Entry
from jdrec.features.mistakes import Mistakes
from jdrec.features.resolve_window import rows_of
from jdrec.features.scope import Rows, Scope
from jdrec.features.spec import Encoding, Feature, Join, Kind, Table, Window, list_places
from jdrec.features.types import SqlType

if TYPE_CHECKING:
    from jdrec.config import FeatureConfig, FeaturesConfig


class FeatureResolver:
    """Reads features against what they may refer to.

    Args:
        joins, windows: those without mistakes; a feature of another one is left out silently, for that has been reported.
    """

    def __init__(
        self,
        config: FeaturesConfig,
        tables: dict[str, Table],
        joins: dict[str, Join],
        windows: dict[str, Window],
        mistakes: Mistakes,
    ):
        self._config, self._tables, self._joins, self._windows, self._mistakes = config, tables, joins, windows, mistakes
        self._request = tables[config.request.table]

    def resolve(self, entry: Entry) -> Feature:
        """The feature of an entry whose short forms are expanded.

        Raises:
            JdrecError: a mistake in it.
        """
        name, config, where = entry.name, entry.config, entry.path
        source = f"features.features.{entry.group or entry.name}"
        self._mistakes.check_name(name, "a feature's name", where)
        if entry.over is not None and config.join is not None:
            raise CheckError("a feature is computed over a window or read from a join, not both: drop `over` or `from`.", where=source)
        window = self._find_window(entry.over, f"{source}.over")
        join = self._find_join(config.join, f"{source}.from")
        if (entry.over and window is None) or (config.join and join is None):
            raise ConfigErrors([])  # the window's or join's own mistake is reported already
        try:
            node, type_ = self._read(entry, window, join)
        except ExpressionError as error:
            raise ExpressionError(error.reason, column=error.column, where=f"{where}.expr", hint=error.hint) from None
        kind = self._kind_of(name, config, type_, where)
        if config.encoding is Encoding.LIST and (type_ is not SqlType.STRING or list_places(node) is None):
            raise CheckError(
                "encoding list is for a text with a known number of values.", where=f"{where}.encoding", hint="As topn_frequency(x, 3) has."
            )
        return Feature(name, entry.expr, node, type_, kind, entry.over, config.join, config.encoding, group=entry.group)

    def _read(self, entry: Entry, window: Window | None, join: Join | None) -> tuple[ast.Node, SqlType]:
        """The tree and type of a feature's expression."""
        if entry.config.openmldb_only:
            if entry.config.type is None:
                message = "the type of an openmldb_only expression has to be said: type: string, for example."
                raise CheckError(message, where=entry.path)
            return raw.read(entry.expr, entry.config.type), entry.config.type
        if entry.config.type is not None:
            raise CheckError("only an openmldb_only expression says its type; write cast(x as type).", where=f"{entry.path}.type")
        if window is not None and window.union:
            scope = Scope(rows_of(window.union, self._tables, self._request))
        else:
            joined = {name: Rows(item.table, self._tables[item.table].types) for name, item in self._joins.items()}
            scope = Scope(Rows(self._request.name, self._request.types), joined, default=join.name if join is not None else None)
        node, type_ = scope.parse(entry.expr, windowed=window is not None)
        if window is not None and not any(isinstance(n, ast.Call) and functions.FUNCTIONS[n.name].is_aggregate for n in ast.walk(node)):
            raise ExpressionError("nothing in it runs over a window: drop `over`, or use an aggregate.")
        self._check_constants(node, window)
        return node, type_

    def _check_constants(self, node: ast.Node, window: Window | None) -> None:
        """Derived columns that read no column are constants, which OpenMLDB does not aggregate."""
        union = window.union if window is not None else ()
        for call in (part for part in ast.walk(node) if isinstance(part, ast.Call) and functions.FUNCTIONS[part.name].is_aggregate):
            if any(isinstance(part, ast.Star) for part in ast.walk(call)):
                continue
            columns = [part for part in ast.walk(call) if isinstance(part, ast.Column)]
            tables = [self._joins[column.table].table if column.table else (union or (self._request.name,))[0] for column in columns]
            if columns and not any(self._tables[table].stored(column.name) for table, column in zip(tables, columns, strict=True)):
                message = f"{call.name} has nothing to run over: {columns[0].name} is made of no column."
                raise ExpressionError(message, column=call.start + 1)

    def _find_window(self, name: str | None, where: str) -> Window | None:
        if name is not None and name not in self._config.windows:
            raise CheckError(f"there is no window {name!r}.", where=where, hint=nearest(name, self._config.windows))
        return self._windows.get(name) if name is not None else None

    def _find_join(self, name: str | None, where: str) -> Join | None:
        if name is not None and name not in self._config.joins:
            raise CheckError(f"there is no join {name!r}.", where=where, hint=nearest(name, self._config.joins))
        return self._joins.get(name) if name is not None else None

    def _kind_of(self, name: str, config: FeatureConfig, type_: SqlType, where: str) -> Kind:
        is_label = self._config.label is not None and self._config.label.feature == name
        if is_label:
            if config.kind not in (None, Kind.LABEL):
                raise CheckError(f"it is the label (features.label.feature) and cannot be {config.kind.value}.", where=f"{where}.kind")
            if not (type_.is_number or type_ is SqlType.BOOL):
                raise CheckError(f"a label is a number, this is {type_.value}.", where=where)
            kind = Kind.LABEL
        elif config.kind is Kind.LABEL:
            raise CheckError("the label is named by features.label.feature, which names another feature or none.", where=f"{where}.kind")
        else:
            kind = config.kind or (Kind.NUMERIC if type_.is_number else Kind.CATEGORICAL)
        if kind is Kind.NUMERIC and not type_.is_number:
            raise CheckError(f"a numeric feature is a number, this is {type_.value}.", where=f"{where}.kind")
        if config.encoding is not None:
            if kind in (Kind.LABEL, Kind.DROP):
                raise CheckError(f"a feature of kind {kind.value} is no field of the model and has no encoding.", where=f"{where}.encoding")
            if config.encoding not in (Encoding.HASH, Encoding.LIST) and not type_.is_number:
                raise CheckError(f"{config.encoding.value} needs a number, this is {type_.value}.", where=f"{where}.encoding")
            if config.encoding is Encoding.NUMERIC and kind is Kind.CATEGORICAL:
                raise CheckError(
                    "a categorical feature has no numeric encoding: leave out kind, or take hash or bucket.", where=f"{where}.encoding"
                )
        return kind

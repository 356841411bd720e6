"""The statements of OpenMLDB that a feature set stands for: create, load, select and deploy.

Decisions are made here; templates/sql/ owns the layout.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jdrec.errors import ConfigError
from jdrec.features import expression as ast
from jdrec.features import quoting
from jdrec.features.frames import milliseconds
from jdrec.features.functions import FUNCTIONS
from jdrec.features.indexes import Index, needed_indexes
from jdrec.features.rewrite import bare_columns, rewrite
from jdrec.features.spec import Block, Bound, Feature, FeatureSet, Join, RowColumn, Table, Window
from jdrec.features.types import SqlType
from jdrec.paths import TEMPLATES
from jdrec.templating import render as render_template

if TYPE_CHECKING:
    from jdrec.config import Config, OpenMLDBConfig

FILES = ("create_tables.sql", "load_offline_data.sql", "select_features.sql", "load_online_data.sql", "deploy.sql")
OFFLINE_QUERY = "select_features.sql"
SQL_TEMPLATES = TEMPLATES / "sql"

_FILTERS = {"name": quoting.bare, "quoted": quoting.quoted, "text": quoting.text}
_ZERO = {SqlType.STRING: "''", SqlType.BOOL: "bool(0)", SqlType.DATE: "date('1970-01-01')"}  # others: int(0), float(0), ...


def render(feature_set: FeatureSet, config: Config, run_dir: str | os.PathLike[str], *, templates: Path = SQL_TEMPLATES) -> dict[str, str]:
    """All SQL files of a feature set, by name.

    Args:
        run_dir: where the query's result goes if openmldb.output does not say.

    Raises:
        ConfigError: openmldb.* asks for what its version does not know.
        TemplateError: a template cannot be rendered.
    """
    openmldb = config.openmldb
    root = openmldb.data_dir if openmldb.data_dir is not None else os.path.abspath(config.dataset.root)
    indexes = needed_indexes(feature_set) if openmldb.indexes else {}
    values = {
        "database": feature_set.database,
        "tables": [_TableView(table, root, config.dataset.root, indexes.get(table.name, ())) for table in feature_set.tables.values()],
        "output": openmldb.output if openmldb.output is not None else os.path.join(os.path.abspath(run_dir), "openmldb_features"),
        "deployment": deployment_name(openmldb),
        "options": deploy_options(openmldb),
    }
    version = openmldb.version
    return {
        name: render_template(templates, f"{name}.j2", values | _query_values(feature_set, version, name == OFFLINE_QUERY), _FILTERS)
        for name in FILES
    }


def query(feature_set: FeatureSet, version: str, *, offline: bool = False, templates: Path = SQL_TEMPLATES) -> str:
    """The feature query alone, as OpenMLDB's compiler is asked about it.

    Args:
        offline: as OpenMLDB's batch engine on Spark runs it, instead of as a deployment.
    """
    return render_template(templates, "query.sql.j2", _query_values(feature_set, version, offline), _FILTERS).strip()


def deployment_name(openmldb: OpenMLDBConfig) -> str:
    """The deployment's name.

    Raises:
        ConfigError: it is not a name.
    """
    if not quoting.is_identifier(openmldb.deployment):
        message = f"{openmldb.deployment!r} cannot be a deployment's name: letters, digits and _, not starting with a digit."
        raise ConfigError(message, where="openmldb.deployment")
    return openmldb.deployment


def deploy_options(openmldb: OpenMLDBConfig) -> dict[str, str]:
    """Options of DEPLOY, e.g. {"RANGE_BIAS": "20d"}.

    Raises:
        ConfigError: a bias is not what OpenMLDB reads, or its version has none.
    """
    options = {}
    for key, written, form in (
        ("range_bias", openmldb.range_bias, "a duration such as 20d, or inf"),
        ("rows_bias", openmldb.rows_bias, "a number of rows, or inf"),
    ):
        if written is None:
            continue
        where, value = f"openmldb.{key}", str(written)  # the command line reads inf and 1000 as numbers
        if openmldb.version == "0.6":
            raise ConfigError("DEPLOY of OpenMLDB 0.6 has no such option.", where=where, hint="Leave it out, or use openmldb.version=0.9.")
        if value != "inf" and not (_is_duration(value) if key == "range_bias" else re.fullmatch(r"[0-9]+", value)):
            raise ConfigError(f"{value!r} is not {form}.", where=where)
        options[key.upper()] = value
    return options


def _is_duration(text: str) -> bool:
    try:
        milliseconds(text)
    except ValueError:
        return False
    return text == text.strip() and " " not in text


# --- what templates see ---


def _query_values(feature_set: FeatureSet, version: str, offline: bool) -> dict[str, Any]:
    _check_version(feature_set, version)
    return {"request": feature_set.request, "blocks": [_BlockView(feature_set, block, version, offline) for block in feature_set.blocks]}


def _check_version(feature_set: FeatureSet, version: str) -> None:
    trees = [(feature.path, feature.node) for feature in feature_set.features]
    trees += [(f"features.joins.{join.name}.where", join.condition) for join in feature_set.joins.values() if join.condition is not None]
    trees += [
        (f"features.derived.{table.name}.{derived.name}", derived.node)
        for table in feature_set.tables.values()
        for derived in table.derived.values()
    ]
    for where, tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and not (function := FUNCTIONS[node.name]).is_in(version):
                message = f"{node.name} is in OpenMLDB from {function.since} on, openmldb.version is {version}."
                raise ConfigError(message, where=where)


class _BlockView:
    """A sub-query, ready to be laid out."""

    def __init__(self, feature_set: FeatureSet, block: Block, version: str, offline: bool):
        self._set, self._block, self._version, self._offline = feature_set, block, version, offline
        self.alias, self.kind, self.key = block.alias, block.kind, block.key
        self.key_alias, self.derived = block.features[0].name, block.derived
        key = feature_set.request_key
        self.key_source = quoting.bare(key) if block.key == key else f"{quoting.bare(key)} as {quoting.bare(block.key)}"
        self.key_zero = _zero(feature_set.request.columns[feature_set.request_key])

    @property
    def columns(self) -> list[tuple[str, str]]:
        """Expression and alias of each output column."""
        return [(self._expression(feature), feature.name) for feature in self._block.features]

    @property
    def windows(self) -> list[_WindowView]:
        request = f"{quoting.quoted(self._set.request_table)}." if self.kind == "join" else ""
        return [_WindowView(self._set.windows[name], request) for name in self._block.windows]

    @property
    def request(self) -> str:
        """The request table's rows."""
        return self._with_derived(self._set.request, self._block.derived)

    @property
    def row(self) -> list[tuple[str, str]]:
        """Expression and name of each column of the row that stands for the request in a union."""
        return [(self._source(column), column.name) for column in self._block.row]

    @property
    def unions(self) -> list[tuple[str, list[str]]]:
        """Each table of the union, with its columns or the expressions that make them."""
        tables = [self._set.tables[name] for name in self._block.union]
        return [(table.name, [self._named(table, column.name) for column in self._block.row]) for table in tables]

    @property
    def joins(self) -> list[dict[str, Any]]:
        """Source, name, order and conditions of each join."""
        return [self._join(self._set.joins[name]) for name in self._block.joins]

    def _join(self, join: Join) -> dict[str, Any]:
        table, name = self._set.tables[join.table], quoting.quoted(join.name)
        on = [f"{self._column(ast.Column(0, 0, left, via))} = {name}.{quoting.quoted(right)}" for via, left, right in join.keys]
        if join.condition is not None:
            on.append(f"({rewrite(join.condition_text, join.condition, version=self._version, column=self._column)})")
        return {
            "source": self._with_derived(table, self._derived_of(join)),
            "name": join.name,
            "order_by": join.order_by,
            "on": on,
        }

    def _derived_of(self, join: Join) -> tuple[str, ...]:
        """Derived columns of a joined table that have to be columns of it."""
        names = [right for _, right in join.on] + ([join.order_by] if join.order_by is not None else [])
        names += [left for name in self._block.joins for via, left, _ in self._set.joins[name].keys if via == join.name]
        for feature in self._block.features:
            names += [column.name for column in bare_columns(feature.node) if column.table == join.name]
        return tuple(name for name in dict.fromkeys(names) if name in self._set.tables[join.table].derived)

    def _expression(self, feature: Feature) -> str:
        if feature.openmldb_only:
            return feature.text.strip()
        over = f" over {quoting.bare(feature.window)}" if feature.window else ""
        return rewrite(feature.text, feature.node, version=self._version, column=self._column, over=over)

    def _column(self, column: ast.Column) -> str:
        """A column of the block's own rows or of a join; a derived one is its expression unless it is made a column."""
        if self.kind == "union":
            table, made_columns = self._set.tables[self._block.union[0]], self._block.derived
            return (
                f"({self._made(table, column.name, columns=made_columns)})"
                if self._is_inlined(table, column.name, made_columns)
                else quoting.quoted(column.name)
            )
        qualifier = f"{quoting.quoted(column.table or self._set.request_table)}." if self.kind == "join" else ""
        if column.table is None:
            table, made_columns = self._set.request, self._block.derived
        else:
            join = self._set.joins[column.table]
            table, made_columns = self._set.tables[join.table], self._derived_of(join)
        if self._is_inlined(table, column.name, made_columns):
            return f"({self._made(table, column.name, qualifier, made_columns)})"
        return f"{qualifier}{quoting.quoted(column.name)}"

    @staticmethod
    def _is_inlined(table: Table, name: str, made_columns: tuple[str, ...]) -> bool:
        return name in table.derived and name not in made_columns

    def _made(self, table: Table, name: str, qualifier: str = "", columns: tuple[str, ...] = ()) -> str:
        """A column of a table's rows, or the expression of a derived one over stored columns and those of `columns`.

        The row that stands for the request has such a column's value, but not what it was made of.
        """
        if name not in table.derived:
            return f"{qualifier}{quoting.quoted(name)}"
        derived = table.derived[name]

        def column(node: ast.Column) -> str:
            if not self._is_inlined(table, node.name, columns):
                return f"{qualifier}{quoting.quoted(node.name)}"
            return f"({self._made(table, node.name, qualifier, columns)})"

        return rewrite(derived.text, derived.node, version=self._version, column=column)

    def _named(self, table: Table, name: str) -> str:
        """A column in a list of columns: a derived one is called by its name."""
        made = self._made(table, name)
        return f"{made} as {quoting.quoted(name)}" if name in table.derived else made

    def _with_derived(self, table: Table, names: tuple[str, ...]) -> str:
        """A table, or a sub-query that adds derived columns to it."""
        if not names:
            return quoting.quoted(table.name)
        made = ", ".join(self._named(table, name) for name in names)
        return f"(select *, {made} from {quoting.quoted(table.name)})"

    def _source(self, column: RowColumn) -> str:
        if column.source is None:
            return _zero(column.type)
        source = self._made(self._set.request, column.source)
        given = self._set.request.types[column.source]
        if given is column.type:
            return source
        # Offline, OpenMLDB leaves a select list of columns and conversions to Spark, whose bigint(timestamp) loses the milliseconds.
        # Online it wants just such a list.
        kept = " + 0" if self._offline and column.type is SqlType.BIGINT else ""
        return f"{column.type.value}({source}){kept}"


@dataclass(frozen=True)
class _WindowView:
    window: Window
    qualifier: str  # goes before its columns

    @property
    def name(self) -> str:
        return self.window.name

    @property
    def partition_by(self) -> list[str]:
        return [f"{self.qualifier}{quoting.quoted(column)}" for column in self.window.partition_by]

    @property
    def order_by(self) -> str:
        return f"{self.qualifier}{quoting.quoted(self.window.order_by)}"

    @property
    def frame(self) -> str:
        """The frame and its attributes, from its kind on."""
        window = self.window
        parts = [f"{window.frame} between {_bound(window.start)} and {_bound(window.end)}"]
        parts += [f"MAXSIZE {window.max_size}"] if window.max_size is not None else []
        parts += ["EXCLUDE CURRENT_ROW"] if window.exclude_current_row else []
        parts += ["EXCLUDE CURRENT_TIME"] if window.exclude_current_time else []
        parts += ["INSTANCE_NOT_IN_WINDOW"] if window.instance_not_in_window else []
        return " ".join(parts)


@dataclass(frozen=True)
class _TableView:
    table: Table
    root: str
    local_root: str
    indexes: tuple[Index, ...]

    @property
    def name(self) -> str:
        return self.table.name

    @property
    def columns(self) -> list[tuple[str, str]]:
        return [(name, type_.value) for name, type_ in self.table.columns.items()]

    @property
    def path(self) -> str:
        """The files as the cluster sees them."""
        return (
            self.table.path if self.table.path.startswith("/") or "://" in self.table.path else f"{self.root.rstrip('/')}/{self.table.path}"
        )

    @property
    def format(self) -> str:
        """As it is said, by the path, or by the files of a folder that this machine sees."""
        if self.table.format is not None:
            return self.table.format
        folder = Path(self.local_root, self.table.path)
        names = [self.table.path.rstrip("*"), *(file.name for file in (folder.rglob("*") if folder.is_dir() else ()))]
        return "csv" if any(name.lower().endswith(".csv") and not name.startswith((".", "_")) for name in names) else "parquet"


def _bound(bound: Bound) -> str:
    return f"{bound.text}{' open' if bound.open else ''} preceding"


def _zero(type_: SqlType) -> str:
    return _ZERO.get(type_, f"{type_.value}(0)")

"""What the language has and this engine has not, refused before data are read."""

from __future__ import annotations

from collections.abc import Iterator

from jdrec.errors import CheckError
from jdrec.features.spec import Block, Feature, FeatureSet

OTHER_ENGINES = "OpenMLDB itself (engine=openmldb or engine=spark) has it."


def check_limits(feature_set: FeatureSet) -> None:
    """Refuses what this engine does not compute.

    Raises:
        CheckError: with the feature's path.
    """
    for block in feature_set.blocks:
        for feature in block.features:
            for what in _lacking(feature_set, block, feature):
                raise CheckError(f"the embedded engine has not {what}.", where=feature.path, hint=OTHER_ENGINES)


def _lacking(feature_set: FeatureSet, block: Block, feature: Feature) -> Iterator[str]:
    if feature.openmldb_only:
        yield "SQL that is openmldb_only"
    if feature.window is not None and any(column.table for column in feature.columns):
        yield "windows over the columns of a join"
    for table, column in _columns_read(feature_set, block, feature):
        if column in feature_set.tables[table].derived:
            yield f"derived columns ({table}.{column})"
    for name in dict.fromkeys(column.table for column in feature.columns if column.table):
        join = feature_set.joins[name]
        if join.condition is not None:
            yield f"the condition of join {name}"
        if join.needs:
            yield f"a join on a column of another join ({name})"


def _columns_read(feature_set: FeatureSet, block: Block, feature: Feature) -> Iterator[tuple[str, str]]:
    """Tables and their columns: those of the expression, of its window and of its joins."""
    own = block.union or (feature_set.request_table,)
    for column in feature.columns:
        if column.table is not None:
            yield feature_set.joins[column.table].table, column.name
        elif not feature.is_block_key:
            yield from ((table, column.name) for table in own)
    if feature.window is not None:
        window = feature_set.windows[feature.window]
        yield from ((table, name) for table in own for name in (*window.partition_by, window.order_by))
        yield from ((feature_set.request_table, name) for name in window.request_keys)
        yield from ((feature_set.request_table, column.source) for column in block.row if column.source is not None)
    for name in {column.table for column in feature.columns if column.table}:
        join = feature_set.joins[name]
        for via, left, right in join.keys:
            yield (feature_set.joins[via].table if via else feature_set.request_table), left
            yield join.table, right
        if join.order_by is not None:
            yield join.table, join.order_by

"""The feature query in the form that gives OpenMLDB's own values on Spark."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jdrec.features import expression as ast
from jdrec.features import sql
from jdrec.features.spec import Block, Feature, FeatureSet, Kind
from jdrec.features.types import SqlType

VERSION = "0.9"  # the dialect of the batch engine
GUARD = "jdrec_guard"


def feature_query(feature_set: FeatureSet) -> str:
    """The query; its result may have a column for each guard besides the features, which `features_of` drops.

    A select list of nothing but columns, constants and conversions is not run by OpenMLDB's batch engine but handed to Spark, whose
    conversions differ: bigint(timestamp) loses the milliseconds, and a bare true is refused. Another expression beside them prevents it.
    """
    blocks = tuple(_guarded(feature_set, block) if _needs_guard(block) else block for block in feature_set.blocks)
    return sql.query(replace(feature_set, blocks=blocks), VERSION, offline=True)


def features_of(feature_set: FeatureSet, result: Any) -> Any:
    """The features' columns of the query's result, a Spark DataFrame."""
    return result.select(*(f"`{feature.name}`" for feature in feature_set.features))


def _needs_guard(block: Block) -> bool:
    nodes = [feature.node for feature in block.features]
    return not block.windows and all(map(_is_simple, nodes)) and not all(map(_is_harmless, nodes))


def _is_simple(node: ast.Node) -> bool:
    if isinstance(node, ast.Cast):
        return _is_simple(node.operand)
    return isinstance(node, ast.Column | ast.Literal)


def _is_harmless(node: ast.Node) -> bool:
    return isinstance(node, ast.Column) or (isinstance(node, ast.Literal) and node.type is not SqlType.BOOL)


def _guarded(feature_set: FeatureSet, block: Block) -> Block:
    text = f"isnull({feature_set.request_key})"
    column = ast.Column(len("isnull("), len(text) - 1, feature_set.request_key)
    node = ast.Call(0, len(text), "isnull", (column,))
    guard = Feature(f"{GUARD}_{block.alias}", text, node, SqlType.BOOL, Kind.DROP)
    return replace(block, features=(*block.features, guard))

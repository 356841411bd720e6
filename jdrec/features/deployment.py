"""What OpenMLDB computes offline but cannot deploy, each by the rule of its request mode that is in the way.

Rules: its documentation, "Online Request Requirements"; and what its compiler says and which indexes it derives (tests ask it).
"""

from __future__ import annotations

from collections.abc import Iterator

from jdrec.features.finding import Finding
from jdrec.features.rewrite import bare_columns
from jdrec.features.spec import Block, FeatureSet, Join, Window

OFFLINE = "Or set openmldb.deployable=false, if it need not be deployed."


def undeployable(feature_set: FeatureSet, *, deploying: bool = False) -> list[Finding]:
    """An error for each window and join that OpenMLDB cannot deploy; with the way to do without, unless that is what is being done."""
    found: dict[tuple[str, str], None] = {}
    for block in feature_set.blocks:
        for name in block.windows:
            window = feature_set.windows[name]
            for rule in (
                *_conversion(feature_set, window),
                *_own_rows(feature_set, block, window),
                *_union_rows(feature_set, block, window),
            ):
                found[(f"features.windows.{name}", rule)] = None
        if block.windows and len(block.joins) > 1:
            for feature in block.features[1:]:
                rule = f"it has windows over the columns of one join, not of {_listed(block.joins)} together."
                found[(feature.path, rule)] = None
        for name in block.joins:
            for rule in _join(feature_set, block, feature_set.joins[name]):
                found[(f"features.joins.{name}", rule)] = None
    advice = "" if deploying else f" {OFFLINE}"
    return [Finding(where, f"OpenMLDB cannot deploy it: {rule}{advice}", error=True) for where, rule in found]


def _conversion(feature_set: FeatureSet, window: Window) -> Iterator[str]:
    """The request table's own rows in a union, when their time has to be converted."""
    if not window.union or window.instance_not_in_window:
        return
    request, union = feature_set.request, feature_set.tables[window.union[0]]
    given, wanted = request.columns[feature_set.request_time], union.types[window.order_by]
    if given is not wanted:
        yield (
            f"rows of {request.name} would be ordered by {feature_set.request_time} ({given.value}) made a {wanted.value}, which has no index. "
            f"Put instances into exclude, or take a {given.value} of {union.name} for order_by."
        )


def _own_rows(feature_set: FeatureSet, block: Block, window: Window) -> Iterator[str]:
    """Windows over the request table in which a derived column has to be a column; and requests whose key is derived."""
    request = feature_set.request
    if not window.union:
        if block.derived:
            columns = _listed([f"{request.name}.{name}" for name in block.derived])
            yield f"it has no windows over rows to which columns are added ({columns}). Store them in the table."
        return
    derived = [name for name in window.request_keys if name in request.derived]
    if derived:
        columns = _listed([f"{request.name}.{name}" for name in derived])
        yield f"a request's key is a column of its table, not derived ({columns}). Send it with the request."


def _union_rows(feature_set: FeatureSet, block: Block, window: Window) -> Iterator[str]:
    """Union tables to which columns are added: no index is found behind them."""
    if not window.union:
        return
    added = [f"{table}.{name}" for table in window.union for name in block.derived if name in feature_set.tables[table].derived]
    if added:
        yield f"it finds no index of rows to which columns are added ({_listed(added)}). Store them in the table."


def _join(feature_set: FeatureSet, block: Block, join: Join) -> Iterator[str]:
    table = feature_set.tables[join.table]
    names = [right for _, right in join.on] + ([join.order_by] if join.order_by is not None else [])
    names += [left for other in block.joins for via, left, _ in feature_set.joins[other].keys if via == join.name]
    names += [column.name for feature in block.features for column in bare_columns(feature.node) if column.table == join.name]
    derived = [f"{join.table}.{name}" for name in dict.fromkeys(names) if name in table.derived]
    if derived:
        yield f"it finds no index of rows to which columns are added ({_listed(derived)}). Store them in the table."


def _listed(names: list[str] | tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

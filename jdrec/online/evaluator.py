"""From the columns of one request to its features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from jdrec.engines.embedded.derived import closure
from jdrec.engines.embedded.plan import Plan, Result
from jdrec.features.spec import FeatureSet
from jdrec.online.cells import Cells
from jdrec.online.joined import JoinedWindows, reads_joins
from jdrec.online.scalar import compiled
from jdrec.online.stored import Stored
from jdrec.online.windows import StoredWindows


def request_cells(plan: Plan, feature_set: FeatureSet) -> tuple[Cells, list[Callable[[Sequence[Any]], Any]]]:
    """Cells for the request's columns, and the functions that give its derived ones, each the next cell."""
    request, cells = feature_set.request, Cells()
    for name, type_ in request.columns.items():
        cells.add((None, name), type_)
    derive = []
    needed = closure(request, plan.columns_read(request.name))
    for name, derived in request.derived.items():
        if name in needed:
            derive.append(compiled(derived.node, cells))
            cells.add((None, name), derived.type)
    return cells, derive


class RequestEvaluator:
    """Fills a request's cells: its columns, the derived ones, joined columns, windows' results, computed values.

    Args:
        stored: the rows; they may change between the calls of `look_up`, each change followed by `refresh`.
        cells: those of the request and of the joins.
        derive: the functions of the request's derived columns (see `request_cells`).

    Attributes:
        time: the cell of the request's time.
    """

    def __init__(self, plan: Plan, feature_set: FeatureSet, stored: Stored, cells: Cells, derive: Sequence[Callable[[Sequence[Any]], Any]]):
        self._derive, self.joins = derive, list(stored.joins.values())
        self.time = cells.place((None, feature_set.request_time))
        planned = list(zip(plan.stores, stored.stores, strict=True))
        direct = [(number, store) for number, (wanted, store) in enumerate(planned) if not reads_joins(wanted)]
        self.windows = StoredWindows(direct, cells, self.time)
        self._joined: list[JoinedWindows] = []
        for number, (wanted, store) in enumerate(planned):
            if reads_joins(wanted):
                self._joined.append(JoinedWindows(wanted, store, stored.joins, cells, self.time))
                for place, aggregate in enumerate(wanted.aggregates):
                    cells.add(Result(0, 0, number, place), aggregate.type)
                for place, walk in enumerate(wanted.walks):
                    cells.add(Result(0, 0, number, place, True), walk.type)
        self.expressions: list[Callable[[Sequence[Any]], Any]] = []
        places = []
        for output in plan.outputs:
            found = cells.find(output.node, output.row)
            if found is None:
                self.expressions.append(compiled(output.node, cells, output.row))
                found = len(cells) + len(self.expressions) - 1
            places.append(found)
        self._gather: Callable[[Sequence[Any]], tuple[Any, ...]] = itemgetter(*places, 0)  # one more, so that it is a tuple in any case
        self.refresh()

    def begin(self, cells: list[Any]) -> None:
        """Appends the derived columns to those of a request."""
        for function in self._derive:
            cells.append(function(cells))

    def look_up(self, cells: list[Any], now_ms: int) -> None:
        """Appends what stored rows give. Not safe while they change."""
        for join in self.joins:
            join.look_up(cells, now_ms)
        self.windows.compute(cells, now_ms)
        for windows in self._joined:
            aggregates, walks = windows.compute(cells, now_ms)
            cells += aggregates
            cells += walks

    def finish(self, cells: list[Any]) -> tuple[Any, ...]:
        """Storage values of the features."""
        for expression in self.expressions:
            cells.append(expression(cells))
        return self._gather(cells)[:-1]

    def refresh(self) -> None:
        """To be called after each change of the stored rows."""
        self.windows.refresh()

"""One request at a time through a store's windows: its words in, the evaluator's arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from jdrec.engines.embedded import plan
from jdrec.engines.embedded.program import StoreProgram
from jdrec.engines.embedded.stores import Encoded, Rows, Store
from jdrec.features import expression as ast
from jdrec.features.types import SqlType
from jdrec.online.cells import Cells
from jdrec.online.dictionary import GrowingDictionary
from jdrec.online.scalar import compiled
from jdrec.online.slabs import storage
from jdrec.online.store import OnlineStore

T = SqlType
_FORMATS = {T.FLOAT: "f4x", T.DOUBLE: "d"}


class RequestProgram:
    """A store's windows for one request at a time, whose values lie in a buffer that is filled anew for each.

    Args:
        cells: which cells of a request hold what.
        time: the cell of its time.
        buffer: int64, where the request's words are: from `first` on group, time and the columns of its own row.
        out: int64 [width], for the aggregates' results.

    Attributes:
        formats: how the words are packed, as in `struct`.
        guests: columns in which a request may have a string that is not stored.
        rows: the request as the store's rows see it.
        program: evaluates over the rows as they are now, once `job` was called.
    """

    program: StoreProgram

    def __init__(self, store: OnlineStore, cells: Cells, time: int, buffer: np.ndarray, first: int, out: np.ndarray):
        self._store, self._time, self._out = store, time, out
        self._order = np.zeros(1, np.int64)
        self._seen: tuple[int, ...] = ()
        self._planned = 0  # longest group that the program has memory for
        self._keep: list[np.ndarray] = []
        self._key = itemgetter(*[cells.place((None, name)) for name in store.plan.request_keys])
        self.formats = ["q", "q"]
        self.guests: set[int | None] = set()
        self._encoders: list[tuple[Callable[[Sequence[Any]], Any], GrowingDictionary | None, int]] = []
        columns = []
        for number, column in enumerate(store.plan.columns):
            dictionary, place = store.dictionaries[number], first + len(self.formats)
            constant = _constant(column, store.plan)
            if constant is not None:
                value = constant if dictionary is None else dictionary.add(constant)
                columns.append(Encoded(column.type, np.array([value], storage(column.type)), None))
                continue
            self._encoders.append((compiled(column.node, cells, store.plan.row), dictionary, dictionary.invite() if dictionary else 0))
            self.formats.append(_FORMATS.get(column.type, "q"))
            if dictionary is not None:
                self.guests.add(number)
            valid = None
            if dictionary is None:
                self.formats.append("q")
                valid = buffer[place + 1 : place + 2].view(np.uint8)[:1]
            columns.append(Encoded(column.type, buffer[place : place + 1].view(storage(column.type))[:1], valid))
        self.rows = Rows(buffer[first : first + 1].view(np.int32)[:1], buffer[first + 1 : first + 2], None, columns)

    def fill(self, request: Sequence[Any], words: list[Any], now_ms: int) -> None:
        """Adds the request's words."""
        group = self._store.group(self._key(request), -1)
        if self._store.expires_by_age and group >= 0:
            self._store.slabs.expire(group, group + 1, now_ms)
        words.append(group)
        words.append(request[self._time])
        for function, dictionary, place in self._encoders:
            value = function(request)
            if dictionary is not None:
                code: int | None = -1
                if value is not None:
                    code = dictionary.get(value)
                    if code is None:
                        code = dictionary.peek(value, place)
                words.append(code)
            elif value is None:
                words += (0, 0)
            else:
                words += (value, 1)

    def job(self) -> np.ndarray | None:
        """The row evaluator's arguments, unless they are those of last time."""
        slabs, dictionaries = self._store.slabs, self._store.dictionaries
        seen = (slabs.version, *[dictionary.version for dictionary in self._store.ordered])
        if seen == self._seen and slabs.longest <= self._planned:
            return None
        self._planned = max(2 * slabs.longest, 64)
        store = Store(self._store.plan, slabs.times, slabs.begins, slabs.ends, slabs.columns, dictionaries, self._planned)
        self.program = StoreProgram(store, [None if dictionary is None else dictionary.ranks for dictionary in dictionaries])
        job, self._keep = self.program.job(self.rows, self._order, self._out)
        self._seen = seen
        return job


def _constant(column: plan.StoreColumn, store: plan.Store) -> Any:
    """What a request has in a column of the union's rows that it does not fill."""
    node = column.node
    if isinstance(node, ast.Column) and any(item.name == node.name and item.source is None for item in store.row):
        return "" if column.type is T.STRING else 0
    return None

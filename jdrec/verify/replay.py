"""Sends rows to a target in order of arrival and asks it for every request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from jdrec.dataset.rows import Row, StoredRows
from jdrec.errors import JdrecError, ServingError
from jdrec.features.spec import FeatureSet
from jdrec.verify.arrivals import Step, calls
from jdrec.verify.targets import Answer, Refused, Target, batch_of

if TYPE_CHECKING:
    import pyarrow as pa

    from jdrec.progress import Task

_BLOCK = 4096  # requests that are compared at a time
_INSERTED = 1000  # rows of one insert
_MOST_REFUSED = 10  # so many in a row, and it is not about the rows


@dataclass
class Block:
    """Answers to some requests.

    Attributes:
        numbers: int64 [rows], places in the request table.
        features: the feature set's columns. scores: float64 [rows], None if none were asked for.
        unanswered: (place in the request table, why).
        extra: keys of answers that nobody asked for.
    """

    numbers: np.ndarray
    features: pa.Table | None
    scores: np.ndarray | None
    unanswered: list[tuple[int, str]] = field(default_factory=list)
    extra: list[Any] = field(default_factory=list)


@dataclass
class Replay:
    """One replay.

    Args:
        tables: the tables whose rows are inserted, and the request table.
        insert: see `verify.insert`; with "none" requests are asked and nothing else is done.
        most: requests a call.
    """

    feature_set: FeatureSet
    target: Target
    tables: dict[str, StoredRows]
    insert: Literal["all", "requests", "none"]
    most: int
    asked: int = 0
    _refused: int = 0

    async def store(self, names: tuple[str, ...], task: Task) -> None:
        """Inserts whole tables."""
        for name in names:
            rows = self.tables[name]
            for start in range(0, len(rows), _INSERTED):
                numbers = np.arange(start, min(start + _INSERTED, len(rows)))
                await self._insert(name, rows.rows(numbers))
                task.advance(len(numbers))

    async def blocks(self, steps: Iterable[Step], task: Task, stored: np.ndarray | None = None) -> AsyncIterator[Block]:
        """Goes through the steps.

        Args:
            task: advances by a row.
            stored: bool [requests], those that are inserted after they were asked; None: all.

        Raises:
            ServingError: the target fails; it says how far it got.
        """
        steps = list(steps)
        feeds = {
            name: _Feed(self.tables[name], [step.numbers for step in steps if step.table == name]) for name in {s.table for s in steps}
        }
        held = _Held(self.feature_set)
        for step in steps:
            for start in range(0, len(step.numbers), _INSERTED):
                numbers = step.numbers[start : start + _INSERTED]
                rows = feeds[step.table].next(len(numbers))
                if step.table != self.feature_set.request_table:
                    await self._insert(step.table, rows)
                else:
                    place = 0
                    for call in calls(self.feature_set, rows, self.most):
                        await self._ask(call, numbers[place : place + len(call)], stored, held)
                        place += len(call)
                task.advance(len(numbers))
                if len(held) >= _BLOCK:
                    yield held.block()
                    held = _Held(self.feature_set)
        if held:
            yield held.block()

    async def _insert(self, table: str, rows: list[Row]) -> None:
        try:
            await self.target.insert(table, rows)
        except ServingError as error:
            raise self._stopped(error, f"while rows of {table!r} were inserted") from None

    async def _ask(self, call: list[Row], numbers: np.ndarray, stored: np.ndarray | None, held: _Held) -> None:
        answer = None
        try:
            answer = await self.target.ask(call)
            held.add(numbers, answer)
            self._refused = 0
        except Refused as error:
            self._refused += 1
            if self.asked == 0 or self._refused == _MOST_REFUSED:
                raise self._stopped(ServingError(str(error)), "") from None
            held.unanswered += [(int(number), str(error)) for number in numbers]
        except ServingError as error:
            raise self._stopped(error, "") from None
        self.asked += len(call)
        if self.insert != "none" and not (answer is not None and answer.stored):
            kept = [row for row, number in zip(call, numbers.tolist(), strict=True) if stored is None or stored[number]]
            if kept:
                await self._insert(self.feature_set.request_table, kept)

    def _stopped(self, error: JdrecError, when: str) -> ServingError:
        after = f"Stopped after {self.asked:,} requests" + (f", {when}" if when else "")
        return ServingError(f"{after}: {error.message}", where=error.where, hint=error.hint)


class _Feed:
    """A table's rows in order of arrival, made of its columns many at a time."""

    def __init__(self, table: StoredRows, steps: list[np.ndarray]):
        self._table, self._numbers = table, np.concatenate(steps)
        self._taken = 0
        self._rows: list[Row] = []

    def next(self, count: int) -> list[Row]:
        while len(self._rows) < count:
            numbers = self._numbers[self._taken : self._taken + _INSERTED]
            self._rows += self._table.rows(numbers)
            self._taken += len(numbers)
        rows, self._rows = self._rows[:count], self._rows[count:]
        return rows


class _Held:
    """Answers that wait to be compared."""

    def __init__(self, feature_set: FeatureSet) -> None:
        self._features_of = feature_set.features
        self._numbers: list[np.ndarray] = []
        self._batches: list[pa.RecordBatch] = []
        self._values: list[tuple[Any, ...]] = []
        self._scores: list[float] | None = []
        self._rows = 0
        self.unanswered: list[tuple[int, str]] = []
        self.extra: list[Any] = []

    def __len__(self) -> int:
        return self._rows + len(self.unanswered) + len(self.extra)

    def add(self, numbers: np.ndarray, answer: Answer) -> None:
        self._numbers.append(numbers[answer.rows])
        if isinstance(answer.features, list):
            self._values += answer.features
        else:
            self._batches.append(answer.features)
        self._rows += len(answer.rows)
        if answer.scores is None:
            self._scores = None
        elif self._scores is not None:
            self._scores += answer.scores
        answered = set(answer.rows)
        self.unanswered += [(int(number), "no answer") for row, number in enumerate(numbers) if row not in answered]
        self.extra += answer.extra

    def block(self) -> Block:
        import pyarrow as pa

        numbers = np.concatenate([*self._numbers, np.zeros(0, np.int64)]).astype(np.int64)
        batches = self._batches or ([batch_of(self._features_of, zip(*self._values, strict=True))] if self._values else [])
        table = pa.Table.from_batches(batches) if batches else None
        scores = np.array(self._scores) if self._scores is not None and table is not None else None
        return Block(numbers, table, scores, self.unanswered, self.extra)

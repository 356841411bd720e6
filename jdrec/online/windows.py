"""One request at a time through the windows of all stores, in one call of the compiled evaluator."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from jdrec.engines.embedded.extract import walked
from jdrec.engines.embedded.layout import Function, Job
from jdrec.engines.embedded.native import evaluate_briefly
from jdrec.engines.embedded.plan import Result
from jdrec.online.cells import Cells, scalar_of
from jdrec.online.program import RequestProgram
from jdrec.online.results import decoder, is_word
from jdrec.online.store import OnlineStore


class StoredWindows:
    """The windows over stored rows; their results get the next cells.

    Args:
        stores: those whose windows are over their own columns, each with its number in the plan.
        cells: what a request's cells hold so far.
        time: the cell of its time.
    """

    def __init__(self, stores: Sequence[tuple[int, OnlineStore]], cells: Cells, time: int):
        self._evaluate = evaluate_briefly()  # compiled now where it never was, so that no request waits for it
        self._buffer = np.zeros(sum(2 + 2 * len(store.plan.columns) for _, store in stores), np.int64)
        self._out = np.zeros(sum(store.plan.width for _, store in stores), np.int64)
        self._jobs = np.zeros((len(stores), Job.WIDTH), np.int64)
        self._jobs_address = self._jobs.ctypes.data
        self._programs: list[RequestProgram] = []
        self._words = self._add_words(stores, cells)
        self._decoders: list[Callable[[Sequence[int]], Any]] = []
        first = offset = 0
        for number, store in stores:
            out = self._out[offset : offset + store.plan.width]
            program = RequestProgram(store, cells, time, self._buffer, first, out)
            self._programs.append(program)
            self._add_decoders(number, program, store, offset, cells)
            first += len(program.formats)
            offset += store.plan.width
        self._pack = struct.Struct("<" + "".join(item for program in self._programs for item in program.formats)).pack_into
        self._unpack = struct.Struct(f"<{len(self._out)}q").unpack

    def compute(self, cells: list[Any], now_ms: int) -> None:
        """Appends the results for a request."""
        if self._programs:
            self.fill(cells, now_ms)
            self.append(cells, self.evaluate())

    def fill(self, cells: Sequence[Any], now_ms: int) -> None:
        """Lays a request's keys and own values out for the evaluator."""
        words: list[Any] = []
        for program in self._programs:
            program.fill(cells, words, now_ms)
        self._pack(self._buffer.data, 0, *words)

    def evaluate(self) -> Sequence[int]:
        """The words of all aggregates for what was laid out."""
        self._evaluate(self._jobs_address, len(self._programs))
        return self._unpack(self._out.data)

    def append(self, cells: list[Any], words: Sequence[int]) -> None:
        """Appends the aggregates' values."""
        cells += self._words(words)
        cells += [decode(words) for decode in self._decoders]

    def refresh(self) -> None:
        """Tells the evaluator where the rows are now; to be called after each change of the stores."""
        for number, program in enumerate(self._programs):
            job = program.job()
            if job is not None:
                self._jobs[number] = job

    def _add_words(self, stores: Sequence[tuple[int, OnlineStore]], cells: Cells) -> Callable[[Sequence[int]], Sequence[int]]:
        """Cells for results that are words as they stand, and what takes those out."""
        places, offset = [], 0
        for number, store in stores:
            for place, aggregate in enumerate(store.plan.aggregates):
                if is_word(aggregate):
                    places.append(offset + store.plan.offsets[place] + 1)
                    cells.add(Result(0, 0, number, place), aggregate.type)
            offset += store.plan.width
        return itemgetter(*places) if len(places) > 1 else lambda words: [words[place] for place in places]

    def _add_decoders(self, number: int, program: RequestProgram, store: OnlineStore, offset: int, cells: Cells) -> None:
        """Cells for a store's other results, and what decodes them."""
        for place, aggregate in enumerate(store.plan.aggregates):
            if aggregate.function is Function.FRAME or is_word(aggregate):
                continue
            column = aggregate.column
            type_ = store.plan.columns[column].type if column is not None else None
            dictionary = store.dictionaries[column] if column is not None else None
            is_guest = column in program.guests
            self._decoders.append(decoder(aggregate, offset + store.plan.offsets[place], type_, dictionary, self._out, is_guest))
            cells.add(Result(0, 0, number, place), aggregate.type)
        for place, walk in enumerate(store.plan.walks):
            self._decoders.append(_walker(program, place, self._out[offset : offset + store.plan.width].reshape(1, -1)))
            cells.add(Result(0, 0, number, place, True), walk.type)


def _walker(program: RequestProgram, number: int, out: np.ndarray) -> Callable[[Sequence[int]], Any]:
    """A function that gives the value of an aggregate over a whole frame."""

    def walk(words: Sequence[int]) -> Any:
        return scalar_of(walked(program.program.store.plan.walks[number], program.program, program.rows, out, 0))

    return walk

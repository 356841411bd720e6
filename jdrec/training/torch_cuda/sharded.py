"""The table spread over several devices: row r lies in process r mod n, as its row r div n.

A step exchanges each distinct row of a process's batch once: numbers of rows go to their owners, the rows come back, and later their
gradients go. How many rows there are depends on the data, but shapes must not, or the step could not be a CUDA graph. So a process has
room for as many rows of each owner as there can be: of a field no more than the batch has samples, nor than the owner has rows.
"""

from __future__ import annotations

from typing import Any

import torch

from jdrec.models import ModelSpec
from jdrec.training.torch_cuda.elementwise import compiled
from jdrec.training.torch_cuda.inputs import Inputs
from jdrec.training.torch_cuda.processes import Processes
from jdrec.training.torch_cuda.step import Forward
from jdrec.training.torch_cuda.table import Table, operations

_SPARE = 4096  # places for what is not sent: writing all of it to one place would be slow


def capacity(spec: ModelSpec, batch: int, processes: int) -> int:
    """The most distinct rows of one owner that a process's batch can have."""
    return sum(min(batch, -(-field.rows // processes)) for field in spec.fields)


class ShardedRows:
    """The rows of a step's batch, in tables of several processes.

    Args:
        table: this process's part.
        spec: the model.
        batch: samples a step, of this process.
        dtype: of the rows and gradients that are exchanged, float32 or bfloat16.
        processes: who takes part.
    """

    def __init__(self, table: Table, spec: ModelSpec, batch: int, dtype: torch.dtype, processes: Processes):
        self.table, self.processes, self._group = table, processes.count, processes
        device, width = table.device, table.layout.gradient_floats
        room = self._room = capacity(spec, batch, processes.count)
        entries = processes.count * room
        self._slot = torch.zeros(spec.rows, dtype=torch.int32, device=device)
        self._places = torch.zeros((batch, len(spec.fields)), dtype=torch.int32, device=device)
        self._asked = torch.zeros(entries + _SPARE, dtype=torch.int32, device=device)
        self._owned = torch.zeros(entries, dtype=torch.int32, device=device)
        self._sent, self._received = (torch.zeros((entries, width), dtype=dtype, device=device) for _ in range(2))
        self._total, self._merged = (torch.zeros((entries, width), device=device) for _ in range(2))
        self._ops = operations(device)
        self._run = compiled if device.type == "cuda" else lambda function: function

    def read(self, inputs: Inputs, forward: Forward) -> None:
        rows, entries = inputs.rows.reshape(-1), len(self._owned)
        self._ops.claim(rows, self._slot)
        self._run(plan_)(self._asked, self._places.view(-1), rows, self._slot, self.processes, self._room)
        self._group.exchange(self._owned, self._asked[:entries])
        self.table.pick(self._sent, self._owned)
        self._group.exchange(self._received, self._sent)
        self._ops.gather(
            self._places, inputs.scale, self._received, None, forward.x, forward.sums, forward.logit, self.table.layout, forward.pairwise
        )

    def write(self, inputs: Inputs, forward: Forward, dx: Any, dlogit: Any, rates: Any) -> None:
        self._ops.accumulate(
            self._places,
            inputs.scale,
            None,
            forward.x,
            dx,
            forward.sums,
            dlogit,
            self._total,
            self.table.layout,
            forward.pairwise,
        )
        self._run(hand_over_)(self._sent, self._total)
        self._group.exchange(self._received, self._sent)
        self.table.write_rows(self._owned, self._received, self._merged, rates)

    def reduce(self, gradient: Any) -> None:
        self._group.sum(gradient)


def plan_(asked: Any, places: Any, rows: Any, slot: Any, processes: int, room: int) -> None:
    """Which rows to ask whom for, each once, and where they will be.

    Args:
        asked: out: int32 [processes * room + spare]: for each owner the numbers of its rows, then -1.
        places: out: int32 [n]: where among them is the row of each occurrence.
        rows: int32 [n].
        slot: int32: claimed for these rows.
        processes, room: owners, and how many rows of each there can be.
    """
    entry = torch.arange(len(rows), dtype=torch.int32, device=rows.device)
    winners = slot[rows.long()]
    owner = torch.where(winners == entry, rows % processes, -1)
    place = processes * room + entry % (len(asked) - processes * room)
    for process in range(processes):
        mine = owner == process
        place = torch.where(mine, process * room - 1 + torch.cumsum(mine, 0, dtype=torch.int32), place)
    asked.fill_(-1)
    asked.scatter_(0, place.long(), rows // processes)
    places.copy_(place[winners.long()])


def hand_over_(out: Any, total: Any) -> None:
    """Moves `total` to `out`, and leaves zeros."""
    out.copy_(total.to(out.dtype))
    total.zero_()

"""A batch computed in parts, each in a process of its own: how OneFlow computes on a CPU.

In the process that imported it OneFlow hands every operator to threads that wait by turning: its scheduler calls sched_yield for a millisecond after all is
done, and a caller that wants a value burns the core that the worker needs to give it. With two cores that is most of a step's time, and more
beside other work. In a forked process, as in the workers of its data loader, OneFlow computes every operator at once in the thread that calls it.

Parameters, a batch and its gradients lie in memory that all processes share. Gradients of the parts are added up in their order, so that a run is
repeated bit for bit by the same number of processes. A worker ends when it is told to, or when the process that made it is gone.
"""

from __future__ import annotations

import gc
import mmap
import os
import signal
import sys
import traceback
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any

import numpy as np

from jdrec.errors import TrainingError
from jdrec.training.network import ModuleNetwork
from jdrec.training.parts import cut

_connections: set[Connection] = set()  # of this process, to its workers


class Forked:
    """A `Network` whose work is done by processes.

    Args:
        network: what each of them computes with.
        fields, dim: of the inputs.
        samples: most of a batch at a time; a larger one is scored in several.
        workers: how many processes.
        prepare: called in each of them first.
    """

    def __init__(self, network: ModuleNetwork, fields: int, dim: int, samples: int, workers: int, prepare: Callable[[], None]):
        self.framework = network.framework
        self._buffers = _Buffers(network.parameters, fields, dim, samples, workers)
        network.move(self._buffers.parameters)
        self.parameters = network.parameters
        self._workers = [_Worker(i, network, self._buffers, prepare) for i in range(workers)]
        self._slices: list[slice] = []

    def forward(self, vectors: np.ndarray, weights: np.ndarray, step: int) -> np.ndarray:
        slices = self._slices = self._put(vectors, weights)
        self._each("forward", slices, step)
        return self._buffers.logits[: len(vectors)].copy()

    def backward(self, gradient: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """As `Network.backward`; the arrays are overwritten by the next call."""
        count, buffers = len(gradient), self._buffers
        np.copyto(buffers.gradient[:count], gradient)
        names = self._each("backward", self._slices)[0]
        for name in names:
            for other in buffers.gradients[1 : len(self._slices)]:
                buffers.gradients[0][name] += other[name]
        first = {name: buffers.gradients[0][name] for name in names}
        return first, buffers.vectors_gradient[:count], buffers.weights_gradient[:count]

    def logits(self, vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
        found = np.empty(len(vectors), np.float32)
        most = len(self._buffers.logits)
        for start in range(0, len(vectors), most):
            part = slice(start, start + most)
            self._each("logits", self._put(vectors[part], weights[part]))
            found[part] = self._buffers.logits[: len(found[part])]
        return found

    def profiler(self, folder: Path) -> AbstractContextManager:
        """Nothing: OneFlow has none for operators on a CPU."""
        return nullcontext()

    def _put(self, vectors: np.ndarray, weights: np.ndarray) -> list[slice]:
        np.copyto(self._buffers.vectors[: len(vectors)], vectors)
        np.copyto(self._buffers.weights[: len(vectors)], weights)
        return cut(len(vectors), len(self._workers))

    def _each(self, work: str, slices: list[slice], step: int = 0) -> list[Any]:
        """What the workers answer for their parts.

        Raises:
            RuntimeError: of a worker's mistake, whose traceback is its cause.
            TrainingError: a worker is gone.
        """
        busy = self._workers[: len(slices)]
        for worker, part in zip(busy, slices, strict=True):
            worker.ask(work, part, step)
        answers = [worker.answer() for worker in busy]  # all of them, so that none is left for the next question
        for _, mistake in answers:
            if mistake is not None:
                last = mistake.rstrip().splitlines()[-1]
                raise RuntimeError(f"in a process that computes a part of a batch: {last}") from RuntimeError(f"\n{mistake}")
        return [value for value, _ in answers]


class _Buffers:
    """Arrays that all processes see, float32, and of each worker the gradients of the parameters."""

    def __init__(self, parameters: dict[str, np.ndarray], fields: int, dim: int, samples: int, workers: int):
        self.vectors, self.vectors_gradient = (_shared(samples, fields, dim) for _ in range(2))
        self.weights, self.weights_gradient = (_shared(samples, fields) for _ in range(2))
        self.logits, self.gradient = (_shared(samples) for _ in range(2))
        self.parameters = {name: _shared(*value.shape) for name, value in parameters.items()}
        self.gradients = [{name: _shared(*value.shape) for name, value in parameters.items()} for _ in range(workers)]


def _shared(*shape: int) -> np.ndarray:
    count = int(np.prod(shape))
    return np.frombuffer(mmap.mmap(-1, max(4 * count, 1)), np.float32, count).reshape(shape)


class _Worker:
    """A process that computes parts, as its maker sees it."""

    def __init__(self, number: int, network: ModuleNetwork, buffers: _Buffers, prepare: Callable[[], None]):
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            self._connection, theirs = Pipe()
            self._pid = os.fork()
        except OSError as error:
            raise TrainingError(
                f"A process for a part of each batch cannot be started: {error.strerror}.",
                where="trainer.threads",
                hint="trainer.threads=1 needs one only.",
            ) from None
        if self._pid == 0:
            try:
                for other in (*_connections, self._connection):  # as long as anyone has their ends, their workers wait
                    other.close()
                _serve(theirs, number, network, buffers, prepare)
            except Exception:
                os.write(2, traceback.format_exc().encode())  # not by sys.stderr, whose lock another thread may have had
            finally:
                os._exit(0)
        _connections.add(self._connection)
        theirs.close()
        self._code = 0
        weakref.finalize(self, _stop, self._connection, self._pid, os.getpid())

    def ask(self, work: str, part: slice, step: int) -> None:
        try:
            self._connection.send((work, part.start, part.stop, step))
        except OSError:
            raise self._gone() from None

    def answer(self) -> tuple[Any, str | None]:
        """What came of the work, and the traceback of a mistake.

        Raises:
            TrainingError: it is gone.
        """
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            raise self._gone() from None

    def _gone(self) -> TrainingError:
        with suppress(ChildProcessError):  # it was told before
            self._code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        how = f"was ended by {signal.Signals(-self._code).name}" if self._code < 0 else "has ended"
        why = "Most often the system had no memory left. " if -self._code == signal.SIGKILL else ""
        return TrainingError(
            f"Process {self._pid}, which computes a part of each batch with OneFlow, {how}.",
            where="trainer",
            hint=f"{why}The same command goes on from the last snapshot.",
        )


def _stop(connection: Connection, pid: int, maker: int) -> None:
    if os.getpid() != maker:  # in a worker that was forked later
        return
    _connections.discard(connection)
    with suppress(OSError):
        connection.send(None)  # others that forked this process may have its end of the connection
    connection.close()
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _serve(connection: Connection, number: int, network: ModuleNetwork, buffers: _Buffers, prepare: Callable[[], None]) -> None:
    """Computes parts until its maker says that it is enough, or is gone."""
    for kind in (signal.SIGINT, signal.SIGTERM):  # they go to the whole group; its maker decides when to end
        signal.signal(kind, signal.SIG_IGN)
    prepare()
    gc.freeze()  # what its maker has is not to be cleared away here
    while True:
        try:
            asked = connection.recv()
        except (EOFError, OSError):
            return
        if asked is None:
            return
        work, start, stop, step = asked
        answer, mistake = None, None
        try:
            answer = _compute(work, slice(start, stop), step, number, network, buffers)
        except Exception:
            mistake = traceback.format_exc()
        try:
            connection.send((answer, mistake))
        except OSError:
            return


def _compute(work: str, part: slice, step: int, number: int, network: ModuleNetwork, buffers: _Buffers) -> list[str] | None:
    """For "backward" the parameters that have a gradient."""
    vectors, weights = buffers.vectors[part], buffers.weights[part]
    if work == "forward":
        buffers.logits[part] = network.forward(vectors, weights, step, part.start)
    elif work == "logits":
        buffers.logits[part] = network.logits(vectors, weights)
    else:
        gradients, buffers.vectors_gradient[part], buffers.weights_gradient[part] = network.backward(buffers.gradient[part])
        for name, value in gradients.items():
            np.copyto(buffers.gradients[number][name], value)
        return list(gradients)
    return None

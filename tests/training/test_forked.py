"""OneFlow's parts of a batch in processes of their own."""

from __future__ import annotations

import errno
import gc
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from jdrec.config import TrainerConfig
from jdrec.errors import TrainingError
from jdrec.models import ModelSpec
from jdrec.training.data import Batch
from jdrec.training.host_adapter import HostAdapter
from jdrec.training.oneflow_network import oneflow_network
from tests.training.test_parts import BATCH, FIELDS, batches

pytestmark = pytest.mark.oneflow


def adapter(threads: int, name: str = "deepfm") -> HostAdapter:
    config = msgspec.convert({"framework": "oneflow", "batch_size": BATCH, "threads": threads, "clip_norm": 0.1}, TrainerConfig)
    return HostAdapter(ModelSpec(name, FIELDS, 8, (24, 12), 0.3), config, oneflow_network, 5)


def children(pid: int) -> set[int]:
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def wait_until_gone(pids: set[int]) -> None:
    for _ in range(500):
        if not any(running(pid) for pid in pids):
            return
        time.sleep(0.01)
    pytest.fail("a worker is still there")


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"  # not a zombie that init has yet to collect
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("name", ["deepfm", "finalmlp", "dcn_v2"])
def test_processes_train_as_one(name: str) -> None:
    one, three = adapter(1, name), adapter(3, name)
    for batch in batches(4):
        assert three.train_batch(batch, 1e-2) == pytest.approx(one.train_batch(batch, 1e-2), rel=1e-6)
    small = Batch(batch.rows[:100], None, batch.labels[:100])
    assert three.train_batch(small, 1e-2) == pytest.approx(one.train_batch(small, 1e-2), rel=1e-6)
    for key, value in one.weights().items():
        np.testing.assert_allclose(three.weights()[key], value, atol=2e-5, err_msg=key)
    large = Batch(*(np.concatenate([part, part[:50]]) for part in (batch.rows, batch.scale, batch.labels)))
    logits = three.logits(large)  # of more samples than the memory they share has room for
    np.testing.assert_allclose(logits, one.logits(large), atol=1e-5)
    np.testing.assert_allclose(logits[BATCH:], logits[:50], atol=1e-5)


def test_a_seed_and_a_number_of_processes_repeat_a_training_bit_for_bit() -> None:
    found = []
    for _ in range(2):
        trained = adapter(3)
        found.append([trained.train_batch(batch, 1e-2) for batch in batches(4)])
        found[-1] += [value.tobytes() for value in trained.weights().values()]
    assert found[0] == found[1]


def test_a_process_a_thread_and_none_afterwards_in_any_order() -> None:
    before = children(os.getpid())
    first = adapter(3)
    of_first = children(os.getpid()) - before
    second = adapter(2)
    assert (len(of_first), len(children(os.getpid()) - before)) == (3, 5)
    del first  # while those of the second have its connections, too
    assert not of_first & children(os.getpid())
    assert np.isfinite(second.train_batch(batches(1)[0], 1e-2))
    del second
    assert children(os.getpid()) == before


def test_nothing_is_computed_in_this_process() -> None:
    """There OneFlow's threads wait by giving way, thousands of times a batch."""
    trained = adapter(2)
    batch = batches(1)[0]
    trained.train_batch(batch, 1e-2)
    before = resource.getrusage(resource.RUSAGE_SELF)
    for _ in range(20):
        trained.train_batch(batch, 1e-2)
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert after.ru_nivcsw - before.ru_nivcsw < 2000


def test_a_worker_that_was_killed_is_told() -> None:
    before = children(os.getpid())
    trained = adapter(2)
    os.kill(max(children(os.getpid()) - before), signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(TrainingError, match=r"was ended by SIGKILL\. .*no memory left"):
            for batch in batches(2):
                trained.train_batch(batch, 1e-2)


def test_a_mistake_in_a_worker_is_told_with_its_place_and_leaves_no_answer_behind() -> None:
    trained, other = adapter(3), adapter(3)
    batch = batches(1)[0]
    gradient = trained.network.forward(*trained.table.lookup(batch), 1)
    trained.network.backward(gradient)
    with pytest.raises(RuntimeError, match=r"^in a process .*: AttributeError: .*_output.*$") as told:
        trained.network.backward(gradient)  # what it needs was given up by the first
    assert "network.py" in str(told.value.__cause__)
    assert trained.train_batch(batch, 1e-2) == other.train_batch(batch, 1e-2)


def test_a_process_that_cannot_be_started_is_told_and_the_others_end(monkeypatch: pytest.MonkeyPatch) -> None:
    forks = [os.fork]

    def once() -> int:
        if not forks:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        return forks.pop()()

    before = children(os.getpid())
    monkeypatch.setattr(os, "fork", once)
    with pytest.raises(TrainingError, match=r"cannot be started: Resource temporarily unavailable") as told:
        adapter(2)
    assert not forks
    told.value.__traceback__ = None
    del told
    gc.collect()
    assert children(os.getpid()) <= before


def test_a_worker_that_cannot_begin_says_why(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jdrec.training.forked.gc.freeze", lambda: 1 // 0)
    trained = adapter(1)
    with pytest.raises(TrainingError, match="has ended"):
        trained.train_batch(batches(1)[0], 1e-2)
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_workers_end_with_a_process_that_is_killed() -> None:
    script = "from tests.training.test_forked import *; a = adapter(2); b = adapter(3); print(*children(os.getpid()), flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        workers = set(map(int, process.stdout.readline().split()))
        assert len(workers) == 5 and all(map(running, workers))
        for pid in workers:
            os.kill(pid, signal.SIGINT)  # Ctrl-C goes to all; it is their maker's to decide
        time.sleep(0.1)
        assert all(map(running, workers))
        process.kill()
        wait_until_gone(workers)


_IMPORTS_OF_WORKERS = """
import sys
from jdrec.training import forked
from tests.training.test_forked import adapter, batches
compute = forked._compute
def told(*arguments):
    before = set(sys.modules)
    found = compute(*arguments)
    print(arguments[0], sorted(set(sys.modules) - before), flush=True)
    return found
forked._compute = told
trained = adapter(1)
trained.train_batch(batches(1)[0], 1e-2)
trained.logits(batches(1)[0])
"""


def test_a_worker_imports_nothing() -> None:
    """Another thread's import, as of a tracker's library, may be under way when it is forked: it would wait for it for ever."""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", _IMPORTS_OF_WORKERS], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.splitlines() == ["forward []", "backward []", "logits []"]

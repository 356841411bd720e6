"""hydra/launcher=parallel: the jobs of a sweep side by side on this machine, each on cores of its own."""

from __future__ import annotations

import logging
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus, configure_log, setup_globals
from hydra.plugins.launcher import Launcher
from omegaconf import OmegaConf, open_dict

from jdrec.errors import ConfigError, JdrecError, StageError
from jdrec.sweep.done import finished_before
from jdrec.sweep.jobs import METRIC, OUTPUT, JobError
from jdrec.tracking.runs import read_run

log = logging.getLogger(__name__)

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_POLL_S = 0.05


@dataclass
class _Job:
    number: int
    overrides: Sequence[str]
    config: Any
    folder: Path
    result: float | None = None
    process: subprocess.Popen[bytes] | None = None
    cores: tuple[int, ...] = field(default=())


class ParallelLauncher(Launcher):
    """Runs every job in a process of its own.

    Args:
        jobs: how many at a time; 0: as many as leaves each `cores` cores.
        cores: of a job, where jobs is 0.
    """

    def __init__(self, jobs: int = 0, cores: int = 2):
        self.jobs, self.cores = jobs, cores

    def _check(self) -> None:
        for name, value, least in (("jobs", self.jobs, 0), ("cores", self.cores, 1)):
            if not isinstance(value, int) or value < least:
                raise ConfigError(f"{value!r} is not a whole number of {least} or more.", where=f"hydra.launcher.{name}")

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        self.context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        self._check()
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        self._common = set(job_overrides[0]).intersection(*job_overrides) if len(job_overrides) > 1 else set()
        jobs = [self._prepare(number, overrides) for number, overrides in enumerate(job_overrides, initial_job_idx)]
        waiting = [job for job in jobs if job.result is None]
        slots = share_cores(self.jobs or max(len(_cores()) // self.cores, 1))[: max(len(waiting), 1)]
        log.info("%s jobs, %s at a time on %s cores each", len(waiting), len(slots), len(slots[0]))
        running: list[_Job] = []
        try:
            while waiting or running:
                while waiting and slots:
                    running.append(self._start(waiting.pop(0), slots.pop(0)))
                for job in [job for job in running if job.process is not None and job.process.poll() is not None]:
                    running.remove(job)
                    slots.append(job.cores)
                    self._ended(job)
                time.sleep(_POLL_S)
        except BaseException:
            _stop(running)
            raise
        return [_returned(job) for job in jobs]

    def _prepare(self, number: int, overrides: Sequence[str]) -> _Job:
        from jdrec.composition import typed

        config = self.context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
        folder = Path(config.hydra.sweep.dir) / str(config.hydra.sweep.subdir)
        job = _Job(number, overrides, config, folder)
        try:
            job.result = finished_before(typed(OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])), folder)
        except JdrecError:
            return job  # the job will say what is wrong
        if job.result is not None:
            log.info("#%s is done: %s %.4f", number, METRIC, job.result)
        return job

    def _start(self, job: _Job, cores: tuple[int, ...]) -> _Job:
        log.info("#%s begins: %s", job.number, " ".join(item for item in job.overrides if item not in self._common))
        job.folder.mkdir(parents=True, exist_ok=True)
        job.cores = cores
        command = [sys.executable, "-m", "jdrec", *job.overrides, f"hydra.run.dir={job.folder}", *self._own_folder()]
        environment = os.environ | dict.fromkeys(_THREADS, str(len(cores)))
        with (job.folder / OUTPUT).open("wb") as output:
            job.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if hasattr(os, "sched_setaffinity") else None,
            )
        return job

    def _own_folder(self) -> list[str]:
        """--config-dir of the command line, which the job's own needs, too."""
        sources = self.config.hydra.runtime.config_sources
        found = [source.path for source in sources if source.provider == "command-line" and source["schema"] == "file"]
        return [argument for path in found for argument in ("--config-dir", path)]

    def _ended(self, job: _Job) -> None:
        assert job.process is not None
        try:
            run = read_run(job.folder)
        except StageError:
            run = None
        if job.process.returncode == 0:
            job.result = run.metrics.get(METRIC, math.nan) if run is not None else math.nan
            log.info("#%s finished%s", job.number, "" if math.isnan(job.result) else f": {METRIC} {job.result:.4f}")
            return
        job.result = math.nan
        said = (run.record.get("error") if run is not None else None) or _last_line(job.folder / OUTPUT)
        log.error("job %s failed: %s", job.number, said)
        failure = JobError(job.number, said, job.folder / OUTPUT)
        self.task_function.keywords["failures"].append(failure)  # composition.run_with_hydra ends with it


def share_cores(jobs: int) -> list[tuple[int, ...]]:
    """This process's cores, dealt out to so many jobs; where there are fewer cores than jobs, some share one."""
    cores = _cores()
    if jobs >= len(cores):
        return [(cores[job % len(cores)],) for job in range(jobs)]
    edges = [job * len(cores) // jobs for job in range(jobs + 1)]
    return [tuple(cores[start:end]) for start, end in pairwise(edges)]


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def _last_line(file: Path) -> str:
    lines = file.read_text(errors="replace").strip().splitlines() if file.is_file() else []
    return lines[-1].removeprefix("error: ") if lines else "it said nothing"


def _returned(job: _Job) -> JobReturn:
    returned = JobReturn(overrides=job.overrides, cfg=job.config, status=JobStatus.COMPLETED)
    returned.return_value = job.result
    return returned


def _stop(running: Sequence[_Job]) -> None:
    """Interrupts the jobs and waits for them, so that each records its end."""
    for job in running:
        if job.process is not None and job.process.poll() is None:
            os.killpg(job.process.pid, signal.SIGINT)
    for job in running:
        if job.process is not None:
            job.process.wait()

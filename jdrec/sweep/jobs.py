"""The jobs of a sweep as they lie in its folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jdrec.errors import JdrecError, StageError
from jdrec.tracking.runs import RunFolder, read_run

_LONGEST_REASON = 300  # characters
_MOST_TOLD = 20
OUTPUT = "output.txt"  # in the folder of a job that had a process of its own
METRIC = "valid.auc"  # that orders a sweep, and that the study maximises


class JobError(JdrecError):
    """A job of a sweep failed.

    Args:
        name: its number, or its folder's name.
        reason: why; the first line of it is told.
        log: the file that says more.
    """

    def __init__(self, name: int | str, reason: object, log: Path):
        line = (str(reason or "").strip() or "it left no word").splitlines()[0]
        self.name, self.log = str(name), log
        self.reason = line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}…"
        super().__init__(f"job {name} of the sweep failed: {self.reason}\n  {log}")


def together(errors: Sequence[JdrecError]) -> JdrecError:
    """All failed jobs as one error, in order: a line for each reason and for each log."""
    if len(errors) == 1:
        return errors[0]
    of_jobs = sorted((error for error in errors if isinstance(error, JobError)), key=lambda error: _number(Path(error.name)))
    lines = [f"{len(errors)} jobs of the sweep failed:"]
    for error in of_jobs[:_MOST_TOLD]:
        lines += [f"job {error.name}: {error.reason}", f"  {error.log}"]
    if len(of_jobs) > _MOST_TOLD:
        lines.append(f"and {len(of_jobs) - _MOST_TOLD} more")
    return JdrecError("\n".join(lines))


@dataclass(frozen=True)
class Job:
    """One job.

    Attributes:
        overrides: its part of the command line.
        run: its folder's record; None where it did not get so far.
    """

    folder: Path
    overrides: tuple[str, ...]
    run: RunFolder | None

    @property
    def value(self) -> float | None:
        """METRIC, where the job finished."""
        return self.metrics.get(METRIC)

    @property
    def metrics(self) -> dict[str, float]:
        return dict(self.run.metrics) if self.run is not None and self.run.status == "finished" else {}

    @property
    def status(self) -> str:
        return self.run.status if self.run is not None else "failed"

    @property
    def error(self) -> str | None:
        """Why it did not finish, in a line."""
        if self.run is not None:
            return self.run.record.get("error")
        text = self.log.read_text(errors="replace").strip() if self.log.is_file() else ""
        told = re.findall(r"^error: (.*)$|^.* ERROR [\w.]+: (?:job \d+ failed: )?(.*)$", text, re.MULTILINE)
        return next(filter(None, told[-1])) if told else text.rpartition("\n")[2] or None

    @property
    def log(self) -> Path:
        """What it said: on its terminal, where it had one of its own, or in its log."""
        own = self.folder / OUTPUT
        return own if own.is_file() else self.folder / "jdrec.log"

    def setting(self, key: str) -> Any:
        """The value that an override gives a key, as text; None if it does not."""
        found = [item.partition("=")[2] for item in self.overrides if item.partition("=")[0].lstrip("+") == key]
        return found[-1] if found else None

    @property
    def seed(self) -> int | None:
        return None if self.run is None else self.run.record["config"].get("seed")


def read_jobs(folder: Path) -> list[Job]:
    """The jobs of a sweep's folder by number."""
    places = sorted((file.parent.parent for file in folder.glob("*/.hydra/overrides.yaml")), key=_number)
    return [_read(place) for place in places]


def swept(jobs: Sequence[Job]) -> list[tuple[str, ...]]:
    """Each job's overrides that are not the same in all jobs."""
    common = set(jobs[0].overrides).intersection(*(job.overrides for job in jobs)) if len(jobs) > 1 else set()
    return [tuple(item for item in job.overrides if item not in common) for job in jobs]


def _read(folder: Path) -> Job:
    from omegaconf import OmegaConf

    written = OmegaConf.to_container(OmegaConf.load(folder / ".hydra" / "overrides.yaml"), resolve=False)
    overrides = tuple(str(item) for item in written or ())
    try:
        return Job(folder, overrides, read_run(folder))
    except StageError:
        return Job(folder, overrides, None)


def _number(folder: Path) -> tuple[int, str]:
    return (int(folder.name), "") if folder.name.isdigit() else (1 << 62, folder.name)

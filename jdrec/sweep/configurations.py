"""Jobs that differ by their seed alone are one configuration: its mean, its spread, and whether it is worse than the best one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from jdrec.report import student
from jdrec.sweep.jobs import METRIC, Job, swept


@dataclass(frozen=True)
class Configuration:
    """What some jobs share.

    Attributes:
        overrides: those that are not the same in all configurations of the sweep.
        p: chance of a difference to the best configuration as large as this by the seeds alone, adjusted for how many are compared (Holm);
            None for the best itself, and where there are too few seeds.
    """

    overrides: tuple[str, ...]
    jobs: tuple[Job, ...]
    p: float | None = None

    @cached_property
    def finished(self) -> tuple[Job, ...]:
        return tuple(job for job in self.jobs if job.value is not None)

    def values(self, metric: str = METRIC) -> np.ndarray:
        """float64 [finished jobs that have it]"""
        return np.array([job.metrics[metric] for job in self.finished if metric in job.metrics])

    def mean(self, metric: str = METRIC) -> float | None:
        values = self.values(metric)
        return float(values.mean()) if len(values) else None

    def spread(self, metric: str = METRIC) -> float | None:
        """Standard deviation over seeds; None for fewer than two."""
        values = self.values(metric)
        return float(values.std(ddof=1)) if len(values) > 1 else None

    @property
    def metrics(self) -> list[str]:
        return list(dict.fromkeys(name for job in self.finished for name in job.metrics))

    @property
    def by_seed(self) -> Mapping[int, float]:
        return {job.seed: job.value for job in self.finished if job.seed is not None and job.value is not None}


def configurations(jobs: Sequence[Job]) -> list[Configuration]:
    """The sweep's configurations, best mean first, those without a finished job last."""
    groups: dict[tuple[str, ...], list[Job]] = {}
    for job, overrides in zip(jobs, swept(jobs), strict=True):
        groups.setdefault(tuple(item for item in overrides if item.partition("=")[0] != "seed"), []).append(job)
    found = [Configuration(overrides, tuple(members)) for overrides, members in groups.items()]
    found.sort(key=lambda c: (c.mean() is None, -(c.mean() or 0.0)))
    return _compared(found)


def p_value(a: Configuration, b: Configuration) -> float | None:
    """Two-sided: a paired t-test over the seeds where both have the same ones, Welch's otherwise."""
    ours, theirs = a.by_seed, b.by_seed
    if ours.keys() == theirs.keys() and len(ours) == len(a.finished) and len(theirs) == len(b.finished):
        return student.paired(np.array([ours[seed] - theirs[seed] for seed in ours]))
    return student.welch(a.values(), b.values())


def _compared(found: list[Configuration]) -> list[Configuration]:
    """With p against the first, Holm's adjustment (Scandinavian Journal of Statistics 6, 1979)."""
    if not found:
        return []
    raw = {place: p for place, other in enumerate(found) if place and (p := p_value(found[0], other)) is not None}
    adjusted, largest = {}, 0.0
    for rank, place in enumerate(sorted(raw, key=lambda place: raw[place])):
        largest = max(largest, min((len(raw) - rank) * raw[place], 1.0))
        adjusted[place] = largest
    return [Configuration(c.overrides, c.jobs, adjusted.get(place)) for place, c in enumerate(found)]

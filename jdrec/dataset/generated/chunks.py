"""Users cut into ranges whose rows fit in memory, so that what a chunk's windows hold is exact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from jdrec.dataset.generated.shares import zipf_shares

CHUNK_ROWS = 500_000  # users, requests and events of a chunk, together, on average at most


@dataclass(frozen=True)
class Chunk:
    """A range of users, how many requests each makes, and their share of the events."""

    first_user: int
    requests: np.ndarray  # int64 [users]
    events: int


def chunks(
    users: int, requests: int, events: int, user_seed: np.random.SeedSequence, chunk_seed: np.random.SeedSequence
) -> Iterator[tuple[Chunk, np.random.Generator]]:
    """All users, each chunk with a generator of its own; requests and events add up to what is asked for, exactly."""
    per_user = np.random.default_rng(user_seed).multinomial(requests, zipf_shares(users))
    so_far = np.cumsum(per_user)
    size = np.arange(1, users + 1) + so_far * (1 + events / requests)
    ends = np.unique(np.append(np.searchsorted(size, np.arange(CHUNK_ROWS, size[-1], CHUNK_ROWS), side="right"), users))
    first, events_before = 0, 0
    for end in ends[ends > 0].tolist():
        events_until = int(so_far[end - 1]) * events // requests
        yield Chunk(first, per_user[first:end], events_until - events_before), np.random.default_rng(chunk_seed.spawn(1)[0])
        first, events_before = end, events_until

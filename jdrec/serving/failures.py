"""Why a prediction could not be made: the caller's mistake, or a server behind the service that does not answer."""

from __future__ import annotations

from typing import Any

from jdrec.errors import ServingError


class InvalidRequest(ServingError):
    """A request that can't be served as it is.

    Args:
        message: what is wrong.
        status: HTTP status: 400 not JSON or not rows, 401 no key, 404 no such model, 408 too slow, 413 too large, 422 rows that don't fit
            the request table.
        kind: a short name of the reason, stable for programs.
        details: for each wrong field, {"row", "field", "message", "expected", "hint"}; row counts from 0.
    """

    def __init__(self, message: str, *, status: int, kind: str, details: list[dict[str, Any]] | None = None):
        super().__init__(message)
        self.status, self.kind, self.details = status, kind, details or []


class Unavailable(ServingError):
    """A server that predictions need does not answer, or answers with an error: HTTP 503, worth another try.

    Args:
        message: which server, and what it said.
        kind: triton_unreachable, triton_error, features_unreachable or features_error.
        retry_after_s: when to try again.
    """

    def __init__(self, message: str, *, kind: str, retry_after_s: int = 1):
        super().__init__(message)
        self.kind, self.retry_after_s = kind, retry_after_s


class Overloaded(ServingError):
    """More is asked for than can be done: HTTP 429, worth another try a little later.

    Args:
        kind: queue_full, too_many_calls or stopping.
    """

    def __init__(self, message: str, *, kind: str, retry_after_s: int = 1):
        super().__init__(message)
        self.kind, self.retry_after_s = kind, retry_after_s

"""What is answered with a code that is not 0."""

from __future__ import annotations


class Refused(Exception):
    """A request that cannot be answered.

    Args:
        status: of HTTP. The APIServer says 200 whatever happened, and so do we, but for what concerns HTTP itself.
    """

    def __init__(self, message: str, *, status: int = 200, code: int = -1):
        super().__init__(message)
        self.message, self.status, self.code = message, status, code

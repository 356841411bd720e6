"""The mistakes of a configuration, kept so that all are shown at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jdrec.errors import CheckError, ConfigErrors, JdrecError
from jdrec.features.quoting import is_identifier


class Mistakes:
    """Those found so far, in their order."""

    def __init__(self) -> None:
        self._errors: list[JdrecError] = []

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Keeps a mistake and goes on."""
        try:
            yield
        except ConfigErrors as errors:
            self._errors.extend(errors.errors)
        except JdrecError as error:
            self._errors.append(error)

    def add(self, message: str, where: str) -> None:
        self._errors.append(CheckError(message, where=where))

    def check_name(self, name: str, what: str, where: str) -> None:
        if not is_identifier(name):
            self.add(f"{name!r} cannot be {what}: SQL names are letters, digits and _, not starting with a digit.", where)

    def stop(self) -> None:
        """Ends it here if there are any.

        Raises:
            ConfigErrors: all of them.
        """
        if self._errors:
            raise ConfigErrors(self._errors)

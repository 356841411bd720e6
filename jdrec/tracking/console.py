"""Where tables are printed: as wide as the terminal, and wide enough for a file or a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH_ELSEWHERE = 160


def console() -> Console:
    """Text is printed as it is: `[a]` is a part of an override, no markup."""
    from rich.console import Console

    found = Console(markup=False)
    return found if found.is_terminal else Console(markup=False, width=_WIDTH_ELSEWHERE)

"""Features at request time, over a store that takes rows as they come. `open_session` is the way in."""

from jdrec.online.opening import Recovery, open_session

__all__ = ["Recovery", "open_session"]

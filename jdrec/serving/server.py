"""The HTTP server around the application: uvicorn, with limits that it lacks."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

from jdrec.errors import MissingExtra, ServingError

if TYPE_CHECKING:
    import uvicorn

    from jdrec.serving.app import App

_BACKLOG = 2048
_KEEP_ALIVE_S = 75


def listen(host: str, port: int) -> socket.socket:
    """A listening socket, taken before anything slow is done.

    Raises:
        ServingError: the port is in use, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        return listener
    except OSError as error:
        listener.close()
        raise ServingError(
            f"The service can't listen on {host}:{port}: {error.strerror or error}.",
            where="serving.port",
            hint="Stop what uses the port, or choose another: serving.port=0 picks a free one.",
        ) from None


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def server_of(app: App, *, timeout_s: float, max_connections: int) -> uvicorn.Server:
    """A server to run on a listener. When it is told to stop, it takes nothing new, finishes what it has accepted, and ends.

    Args:
        timeout_s: longest wait for a call's head, and at the end for calls to finish.
        max_connections: connections beyond these are closed at once.
    """
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:
        raise MissingExtra("uvicorn", "serving") from None

    class Connection(HttpToolsProtocol):
        """A client that opens a connection and sends nothing, or a head byte by byte, does not keep it for ever."""

        _head_timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > max_connections:
                transport.abort()
                return
            self._wait_for_head()

        def connection_lost(self, error: Exception | None) -> None:
            self._head_is_here()
            super().connection_lost(error)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            if self._head_timer is None:
                self._wait_for_head()

        def on_headers_complete(self) -> None:
            self._head_is_here()
            super().on_headers_complete()

        def _wait_for_head(self) -> None:
            self._head_timer = self.loop.call_later(timeout_s, self.transport.abort)

        def _head_is_here(self) -> None:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None

    return uvicorn_server(app, shutdown_s=2 * timeout_s, http=Connection)


def uvicorn_server(app: Any, *, shutdown_s: float, **options: Any) -> uvicorn.Server:
    """A server whose messages go to our log. Calls that it has accepted get `shutdown_s` at the end."""
    try:
        import uvicorn
    except ImportError:
        raise MissingExtra("uvicorn", "serving") from None
    return uvicorn.Server(
        uvicorn.Config(
            app,
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=max(1, round(shutdown_s)),
            **options,
        )
    )

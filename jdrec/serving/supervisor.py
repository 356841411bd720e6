"""Keeps a tritonserver running: one that dies is started again, so that the service recovers by itself."""

from __future__ import annotations

import logging
import threading
from types import TracebackType

from jdrec.errors import JdrecError
from jdrec.serving.triton import TritonServer

log = logging.getLogger(__name__)

_LOOK_S = 0.2
_LONGEST_PAUSE_S = 30.0


class Supervisor:
    """Runs `server` in a thread of its own, as a context manager: it starts on entry and is gone on exit.

    The thread lives as long as the server, which the kernel ends together with the thread that started it.
    """

    def __init__(self, server: TritonServer):
        self.server = server
        self._settled = threading.Event()  # the first start has succeeded or failed
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="triton", daemon=True)

    def __enter__(self) -> Supervisor:
        self._thread.start()
        return self

    def wait_until_ready(self) -> None:
        """Waits for the first start; what kept it from starting is raised here."""
        self._settled.wait()
        if self._failure is not None:
            raise self._failure

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self.server.cancel()
        self._thread.join()

    def _run(self) -> None:
        try:
            self.server.start()
        except BaseException as error:
            self._failure = error
            return
        finally:
            self._settled.set()
        try:
            self._watch()
        finally:
            self.server.stop()

    def _watch(self) -> None:
        pause = 1.0
        while not self._stop.wait(_LOOK_S):
            if self.server.running:
                continue
            log.error("Triton stopped by itself; it is started again. Its log: %s", self.server.log_file)
            self.server.stop()
            try:
                self.server.start()
                pause = 1.0
                log.info("Triton is back at %s", self.server.url)
            except JdrecError as error:
                log.error("Triton does not start: %s", error)
                self._stop.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)

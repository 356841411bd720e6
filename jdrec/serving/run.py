"""task=serve: Triton and the prediction service together, until Ctrl-C; both stop and nothing is left behind."""

from __future__ import annotations

import gc
import logging
import shlex
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from jdrec.errors import ServingError
from jdrec.serving import client
from jdrec.serving.access_log import AccessLog
from jdrec.serving.app import App
from jdrec.serving.features import EmbeddedSource, FeatureSource, OpenMLDBSource
from jdrec.serving.inference import TritonServerClient
from jdrec.serving.models import Models, remembered
from jdrec.serving.repository import container_command, repository_of, require_exported, require_same_features
from jdrec.serving.request_log import RequestLog
from jdrec.serving.server import listen, server_of, url_of
from jdrec.serving.service import Service
from jdrec.serving.supervisor import Supervisor
from jdrec.serving.triton import TritonServer
from jdrec.system import sigterm_as_interrupt

if TYPE_CHECKING:
    import uvicorn

    from jdrec.config import Config
    from jdrec.features.spec import FeatureSet

log = logging.getLogger(__name__)

_EXAMPLE = "request.json"


def serve(config: Config, run: Path, feature_set: FeatureSet) -> None:
    """Serves the exported model of a run until Ctrl-C or SIGTERM.

    Args:
        config: its `serving` says how.
        run: the run folder; logs and an example request are written there.
        feature_set: what the model was trained on.

    Raises:
        ServingError: Triton or the service can't start; the message says why and what to do.
    """
    try:
        with sigterm_as_interrupt(), _started(config, run, feature_set) as started:
            started.server.config.load()
            announce = _announcement(config, run, started)
            started.app.when_open = lambda: print(announce(), flush=True)
            started.run()
    except KeyboardInterrupt:
        log.info("stopped")


def demo(config: Config, run: Path, feature_set: FeatureSet) -> str:
    """Starts everything on free ports, asks for one prediction of the run's example request, and stops everything.

    Returns:
        The answer as text, as task=predict prints it.
    """
    triton = msgspec.structs.replace(config.serving.triton, http_port=0)
    config = msgspec.structs.replace(config, serving=msgspec.structs.replace(config.serving, port=0, triton=triton))
    with sigterm_as_interrupt(), _started(config, run, feature_set) as started:
        thread = threading.Thread(target=started.run, daemon=True)
        thread.start()
        try:
            body = (run / _EXAMPLE).read_bytes()
            return client.render(client.ask(started.url, body, timeout_s=2 * config.serving.timeout_s, key=client.api_key(config)))
        finally:
            started.server.should_exit = True
            thread.join()


@dataclass
class Started:
    """A ready Triton, and a service that listens and only has to be run."""

    server: uvicorn.Server
    app: App
    listener: socket.socket
    triton_url: str

    @property
    def url(self) -> str:
        return url_of(self.listener)

    def run(self) -> None:
        """Serves until it is told to stop.

        Raises:
            JdrecError: the service could not start.
        """
        with suppress(SystemExit):  # uvicorn's way to say that the application did not start
            self.server.run(sockets=[self.listener])
        if self.app.failure is not None:
            raise self.app.failure


@contextmanager
def _started(config: Config, run: Path, feature_set: FeatureSet) -> Iterator[Started]:
    serving = config.serving
    repository = repository_of(config, run)
    default = serving.triton.model, serving.triton.version
    model, version = (remembered(repository) or (default, None))[0]
    folder = repository / model / str(version)
    require_exported(folder)
    require_same_features(folder, feature_set)
    with ExitStack() as stack:
        listener = stack.enter_context(listen(serving.host, serving.port))
        supervisor = None if serving.triton.url else stack.enter_context(Supervisor(_triton(config, run, repository, model, version)))
        source = _open_source(config, run, feature_set, stack)  # while Triton starts
        if supervisor:
            supervisor.wait_until_ready()
        url = supervisor.server.url if supervisor else str(serving.triton.url)
        triton = TritonServerClient(url, timeout_s=serving.timeout_s)
        models = Models(repository, feature_set, triton, default)
        request_log = None
        if serving.request_log.dir is not None:
            request_log = stack.enter_context(RequestLog(run / serving.request_log.dir, feature_set, serving.request_log))
        service = Service(feature_set, source, triton, models, serving, request_log)
        app = App(service, AccessLog(serving.access_log, run))
        gc.collect()
        gc.freeze()  # what is loaded stays: the collector need not walk through it while calls wait
        yield Started(server_of(app, timeout_s=serving.timeout_s, max_connections=serving.max_connections), app, listener, url)


def _triton(config: Config, run: Path, repository: Path, model: str, version: int) -> TritonServer:
    triton = config.serving.triton
    if triton.backend != "python":
        raise ServingError(
            f"The pytriton wheel has no {triton.backend} backend.",
            where="serving.triton.backend",
            hint="Use serving=triton_python, or name a Triton that has it: serving.triton.url=HOST:PORT.",
        )
    return TritonServer(
        repository,
        model=model,
        version=version,
        port=triton.http_port,
        log_file=run / "triton.log",
        timeout_s=triton.start_timeout_s,
    )


def _open_source(config: Config, run: Path, feature_set: FeatureSet, stack: ExitStack) -> FeatureSource:
    from jdrec.dataset.tables import open_tables
    from jdrec.serving.example import from_table, from_types, write

    if config.serving.features == "openmldb":  # the tables are the cluster's
        write(run / _EXAMPLE, from_types(feature_set))
        cluster, timeout_s = config.openmldb, config.serving.timeout_s
        return OpenMLDBSource(feature_set, endpoint=cluster.endpoint, deployment=cluster.deployment, timeout_s=timeout_s)
    from jdrec.online import open_session

    log.info("loading the tables")
    tables = open_tables(feature_set, Path(config.dataset.root), config.dataset.timezone)
    write(run / _EXAMPLE, from_table(tables[feature_set.request_table], feature_set) or from_types(feature_set))
    return EmbeddedSource(feature_set, stack.enter_context(open_session(config, feature_set, tables)))


def _announcement(config: Config, run: Path, started: Started) -> Callable[[], str]:
    """What is printed once the service is open."""

    def text() -> str:
        url, model = started.url, started.app.service.models.default
        key = " -H 'authorization: Bearer '$" + config.serving.api_key_env if config.serving.api_key_env else ""
        example = shlex.quote(str(run / _EXAMPLE))
        return "\n".join(
            [
                f"Triton              http://{started.triton_url}   model {model.key[0]}, version {model.key[1]}",
                f"Prediction service  {url}   (documentation: {url}/docs)",
                f"Try it              curl {url}/predict -H 'content-type: application/json'{key} -d @{example}",
                f"In a container      {container_command(repository_of(config, run), config)}",
                "Ctrl-C stops both.",
            ]
        )

    return text

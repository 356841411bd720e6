"""task=serve: Triton and the prediction service together, until Ctrl-C; both stop and nothing is left behind."""

from __future__ import annotations

import logging
import shlex
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from jdrec.errors import MissingExtra, ServingError
from jdrec.serving import client
from jdrec.serving.features import EmbeddedSource, FeatureSource, OpenMLDBSource
from jdrec.serving.inference import TritonClient
from jdrec.serving.repository import container_command, require_same_features, version_folder
from jdrec.serving.service import Service, create_app
from jdrec.serving.supervisor import Supervisor
from jdrec.serving.triton import TritonServer

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
        with _sigterm_as_interrupt(), _started(config, run, feature_set) as (server, listener, triton_url):
            print(_announcement(config, run, triton_url, _url(listener)), flush=True)
            server.run(sockets=[listener])
    except KeyboardInterrupt:
        log.info("stopped")


def demo(config: Config, run: Path, feature_set: FeatureSet) -> str:
    """Starts everything on free ports, asks for one prediction of the run's example request, and stops everything.

    Returns:
        The answer as text, as task=predict prints it.
    """
    triton = msgspec.structs.replace(config.serving.triton, http_port=0)
    config = msgspec.structs.replace(config, serving=msgspec.structs.replace(config.serving, port=0, triton=triton))
    with _sigterm_as_interrupt(), _started(config, run, feature_set) as (server, listener, _):
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            body = (run / _EXAMPLE).read_bytes()
            return client.render(client.ask(_url(listener), body, timeout_s=2 * config.serving.timeout_s))
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def _started(config: Config, run: Path, feature_set: FeatureSet) -> Iterator[tuple[uvicorn.Server, socket.socket, str]]:
    """A ready Triton, and a service that listens and only has to be run."""
    from jdrec.preprocess.encoder import Encoder

    serving = config.serving
    version = version_folder(run, config)
    require_same_features(version, feature_set)
    with ExitStack() as stack:
        listener = stack.enter_context(_listen(serving.host, serving.port))
        supervisor = None if serving.triton.url else stack.enter_context(Supervisor(_triton(config, run)))
        source = _open_source(config, run, feature_set)  # while Triton starts
        if supervisor:
            supervisor.wait_until_ready()
        url = supervisor.server.url if supervisor else str(serving.triton.url)
        triton = TritonClient(url, model=serving.triton.model, version=serving.triton.version, timeout_s=serving.timeout_s)
        service = Service(feature_set, Encoder.load(version / "encoder.json"), source, triton, serving)
        yield _server(service, serving.timeout_s), listener, url


def _triton(config: Config, run: Path) -> TritonServer:
    triton = config.serving.triton
    if triton.backend != "python":
        raise ServingError(
            f"The pytriton wheel has no {triton.backend} backend.",
            where="serving.triton.backend",
            hint="Use serving=triton_python, or name a Triton that has it: serving.triton.url=HOST:PORT.",
        )
    return TritonServer(
        run / "triton",
        model=triton.model,
        version=triton.version,
        port=triton.http_port,
        log_file=run / "triton.log",
        timeout_s=triton.start_timeout_s,
    )


def _open_source(config: Config, run: Path, feature_set: FeatureSet) -> FeatureSource:
    from jdrec.dataset.tables import open_tables
    from jdrec.serving.example import from_table, from_types, write

    if config.serving.features == "openmldb":  # the tables are the cluster's
        write(run / _EXAMPLE, from_types(feature_set))
        cluster, timeout_s = config.openmldb, config.serving.timeout_s
        return OpenMLDBSource(feature_set, endpoint=cluster.endpoint, deployment=cluster.deployment, timeout_s=timeout_s)
    from jdrec.online.session import RequestSession

    log.info("loading the tables")
    tables = open_tables(feature_set, Path(config.dataset.root), config.dataset.timezone)
    write(run / _EXAMPLE, from_table(tables[feature_set.request_table], feature_set) or from_types(feature_set))
    return EmbeddedSource(feature_set, RequestSession(feature_set, tables))


# --- the HTTP server -------------------------------------------------------------------------------------------------------


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket, taken before anything slow is done.

    Raises:
        ServingError: the port is in use, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
        return listener
    except OSError as error:
        listener.close()
        raise ServingError(
            f"The service can't listen on {host}:{port}: {error.strerror or error}.",
            where="serving.port",
            hint="Stop what uses the port, or choose another: serving.port=0 picks a free one.",
        ) from None


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _server(service: Service, timeout_s: float) -> uvicorn.Server:
    try:
        import uvicorn
    except ImportError:
        raise MissingExtra("uvicorn", "serving") from None
    options = uvicorn.Config(
        create_app(service),
        log_config=None,  # its messages go to ours
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=max(1, round(timeout_s)),
    )
    return uvicorn.Server(options)


def _announcement(config: Config, run: Path, triton_url: str, url: str) -> str:
    return "\n".join(
        [
            f"Triton              http://{triton_url}   model {config.serving.triton.model}, version {config.serving.triton.version}",
            f"Prediction service  {url}   (documentation: {url}/docs)",
            f"Try it              curl {url}/predict -H 'content-type: application/json' -d @{shlex.quote(str(run / _EXAMPLE))}",
            f"In a container      {container_command(run / 'triton', config)}",
            "Ctrl-C stops both.",
        ]
    )


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """SIGTERM ends the process as Ctrl-C does, through every `finally`; only the main thread can arrange that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)

"""task=feature_server: the embedded online store behind the REST protocol of OpenMLDB's APIServer, until Ctrl-C."""

from __future__ import annotations

import gc
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from jdrec.errors import OnlineError, ServingError
from jdrec.online import open_session
from jdrec.serving.server import listen, url_of, uvicorn_server
from jdrec.system import sigterm_as_interrupt

if TYPE_CHECKING:
    from jdrec.config import Config
    from jdrec.features.spec import FeatureSet
    from jdrec.progress import Progress

log = logging.getLogger(__name__)


def serve(config: Config, run: Path, feature_set: FeatureSet, progress: Progress) -> None:
    """Serves `config.online` until Ctrl-C or SIGTERM; calls that were accepted are finished, and the store is closed.

    Raises:
        ServingError: the port is in use.
        OnlineError: the store cannot be opened.
    """
    from jdrec.dataset.tables import open_tables
    from jdrec.features.sql import deployment_name, render
    from jdrec.online.server.app import create_app

    server_config = config.online.server
    try:
        listener = listen(server_config.host, server_config.port)
    except ServingError as error:
        hint = "Stop what uses the port, or choose another: online.server.port=0 picks a free one."
        raise OnlineError(error.message, where="online.server.port", hint=hint) from None
    with listener, sigterm_as_interrupt():
        tables = open_tables(feature_set, Path(config.dataset.root), config.dataset.timezone) if _needs_tables(config) else None
        session = open_session(config, feature_set, tables, progress)
        gc.collect()
        gc.freeze()  # the store is there to stay: the collector need not look at it again
        name = deployment_name(config.openmldb)
        app = create_app(session, name, render(feature_set, config, run)["deploy.sql"], server_config)
        app.when_open = lambda: print(_announcement(url_of(listener), feature_set, name), flush=True)
        try:
            uvicorn_server(app, shutdown_s=server_config.shutdown_timeout_s).run(sockets=[listener])
        except KeyboardInterrupt:
            log.info("stopped")
        finally:
            session.close()


def _needs_tables(config: Config) -> bool:
    """Whether the store has to be filled: a folder that is there has been."""
    return config.online.dir is None or not (Path(config.online.dir) / "store.sqlite").exists() or Path(config.dataset.root).is_dir()


def _announcement(url: str, feature_set: FeatureSet, name: str) -> str:
    return "\n".join(
        [
            f"Feature server  {url}   (speaks the REST protocol of OpenMLDB's APIServer)",
            f"Features        POST {url}/dbs/{feature_set.database}/deployments/{name}",
            f"Rows            PUT  {url}/dbs/{feature_set.database}/tables/TABLE",
            f"State           GET  {url}/health",
            "Ctrl-C stops it.",
        ]
    )

"""task=publish, reload and rollback: a trained run becomes a version that a running service serves, and back again."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jdrec.errors import StageError
from jdrec.serving import client
from jdrec.serving.repository import publish as add_version

if TYPE_CHECKING:
    from jdrec.config import Config

log = logging.getLogger(__name__)

_LOAD_S = 180.0  # Triton may take its time over a large model


def publish(config: Config, run: Path) -> None:
    """Adds the run's exported model to `serving.repository` as its next version, and prints which that is.

    Raises:
        StageError: no repository is named.
    """
    if config.serving.repository is None:
        raise StageError("Publishing needs a repository.", where="serving.repository", hint="Name a folder: serving.repository=DIR.")
    name, version = add_version(run, config, Path(config.serving.repository))
    print(f"{name}/{version}")
    log.info("published as %s/%d; a running service takes it on with task=reload", name, version)


def reload(config: Config) -> None:
    """Makes the running service look at its repository again and serve `serving.pin`, or the newest version."""
    print(_told(_change(config, "reload", {"default": config.serving.pin} if config.serving.pin else {})))


def rollback(config: Config) -> None:
    """Makes the running service go back to the default before the last change."""
    print(_told(_change(config, "rollback", {})))


def _change(config: Config, what: str, body: dict[str, Any]) -> dict[str, Any]:
    url = f"{client.service_url(config)}/models/{what}"
    return client.post(url, json.dumps(body).encode(), timeout_s=_LOAD_S, key=client.api_key(config))


def _told(state: dict[str, Any]) -> str:
    """What is served, one version a line."""
    lines = []
    for model in state["models"]:
        lines.append(f"{model['model']}/{model['version']}{'  default' if model['default'] else ''}")
    lines += [f"{item['model']}/{item['version']}  not served: {item['reason']}" for item in state["refused"]]
    return "\n".join(lines)

"""task=predict: sends request rows to a running prediction service and prints what it answers, as the tutorial's section 3.5 does."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from jdrec.config import Config
from jdrec.errors import ServingError, StageError

_WIDTH = 100


def predict(config: Config) -> None:
    """Sends the rows of `config.request` (a file, or "-" for standard input) and prints features and scores.

    Raises:
        StageError: no request, or it can't be read.
        ServingError: the service is not there or refuses the rows; the message says why.
    """
    body, timeout_s = read_request(config.request), 2 * config.serving.timeout_s
    print(render(ask(service_url(config), body, timeout_s=timeout_s, key=api_key(config))))


def api_key(config: Config) -> str | None:
    """The key for the service, from the environment variable that the configuration names."""
    name = config.serving.api_key_env
    return os.environ.get(name) if name else None


def service_url(config: Config) -> str:
    """http://host:port of the service that the configuration describes."""
    serving = config.serving
    if serving.port == 0:
        raise ServingError("The port of the service is not known.", where="serving.port", hint="Give the one that task=serve printed.")
    host = "127.0.0.1" if serving.host in ("0.0.0.0", "::") else serving.host
    return f"http://[{host}]:{serving.port}" if ":" in host else f"http://{host}:{serving.port}"


def read_request(source: str | None) -> bytes:
    """The bytes of a JSON file, or of standard input."""
    if source is None:
        raise StageError("There is no request.", where="request", hint="Give a JSON file, request=FILE, or request=- for standard input.")
    try:
        return sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise StageError(f"{source} can't be read: {error.strerror}.", where="request") from None


def ask(url: str, body: bytes, *, timeout_s: float, key: str | None = None) -> dict[str, Any]:
    """The service's predictions, with features.

    Args:
        url: of the service.
        body: request rows as JSON.
        timeout_s: longest wait.
        key: the API key, if the service wants one.
    """
    answer = post(f"{url}/predict?features=true", body, timeout_s=timeout_s, key=key)
    try:
        if all("score" in prediction and "features" in prediction for prediction in answer["predictions"]):
            return answer
    except (KeyError, TypeError):
        pass
    raise _no_service(url, json.dumps(answer).encode())


def post(url: str, body: bytes, *, timeout_s: float, key: str | None = None) -> dict[str, Any]:
    """The JSON object that the service answers.

    Raises:
        ServingError: the service is not there or refuses; the message says why.
    """
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(url, body, headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    service = url.partition("?")[0].rpartition("/predict")[0] or url
    try:
        with opener.open(request, timeout=timeout_s) as answer:
            content = answer.read()
    except urllib.error.HTTPError as error:
        raise _refusal(error) from None
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise ServingError(
            f"The prediction service at {service} does not answer: {reason}.",
            where="serving.port",
            hint="Start it: python -m jdrec task=serve run=DIR",
        ) from None
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise _no_service(service, content)
    return value


def _no_service(url: str, content: bytes) -> ServingError:
    return ServingError(f"What answers at {url} is not a prediction service: {content[:200]!r}.", where="serving.port")


def _refusal(error: urllib.error.HTTPError) -> ServingError:
    content = error.read()
    try:
        said = json.loads(content)["error"]
        lines = [said["message"]]
        for detail in said["details"]:
            lines.append(" ".join(filter(None, (f"  row {detail['row']}, {detail['field']!r}", detail["message"] + ".", detail["hint"]))))
        message = "\n".join(lines)
    except (ValueError, KeyError, TypeError):
        message = content[:200].decode(errors="replace")
    return ServingError(f"The prediction service answered {error.code}: {message}")


def render(answer: dict[str, Any]) -> str:
    """The answer as text: for each row the features' values, in their order, and the score."""
    parts = []
    for prediction in answer["predictions"]:
        values = dict(prediction)
        features, score = values.pop("features"), values.pop("score")
        parts += [
            " ins ".center(_WIDTH, "-"),
            _wrap([repr(value) for value in features.values()]),
            f" score of {next(iter(values.values()))} ".center(_WIDTH, "-"),
            f"{score:.6f}",
        ]
    return "\n".join(parts)


def _wrap(items: list[str]) -> str:
    """Items in brackets, in lines of bounded width that break between items only."""
    lines, line = [], "["
    for i, item in enumerate(items):
        piece = item + ("]" if i == len(items) - 1 else "")
        if len(line) > 1 and len(line) + 1 + len(piece) > _WIDTH:
            lines.append(line)
            line = " " + piece
        else:
            line += piece if line == "[" else " " + piece
    return "\n".join([*lines, line])

"""The models and versions that a service answers with, side by side; one of them is the default.

A call takes its model when it begins and keeps it. Reloading makes the new ones ready first, then changes the table of models in one assignment,
so no call is dropped and none meets half of a change. The default is remembered in the repository: a service that starts again serves it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jdrec.errors import JdrecError, ServingError, nearest
from jdrec.files import write_text
from jdrec.serving.drift import Drift
from jdrec.serving.failures import InvalidRequest, Unavailable
from jdrec.serving.repository import require_same_features, versions_in

if TYPE_CHECKING:
    from jdrec.features.spec import FeatureSet
    from jdrec.preprocess.encoder import Encoder
    from jdrec.preprocess.row_path import RowEncoder
    from jdrec.serving.batching import Batcher
    from jdrec.serving.inference import TritonClient, TritonServerClient
    from jdrec.serving.pipeline import Scored

log = logging.getLogger(__name__)

DEFAULT_FILE = "default.json"
Key = tuple[str, int]


@dataclass
class ServedModel:
    """One version of one model, and all that a call needs of it."""

    triton: TritonClient
    encoder: Encoder
    row_encoder: RowEncoder
    drift: Drift
    folder: Path | None = None
    fingerprint: str = ""
    loaded: float = field(default_factory=time.time)
    batcher: Batcher[Scored] | None = None

    @property
    def key(self) -> Key:
        return self.triton.model, self.triton.version

    @classmethod
    def load(cls, folder: Path, feature_set: FeatureSet, triton: TritonClient) -> ServedModel:
        """The version in a folder of the repository.

        Raises:
            JdrecError: it is none, or was trained on other features.
        """
        from jdrec.preprocess.encoder import Encoder
        from jdrec.preprocess.row_path import RowEncoder

        require_same_features(folder, feature_set)
        encoder = Encoder.load(folder / "encoder.json")
        names = [feature.name for feature in feature_set.features]
        return cls(triton, encoder, RowEncoder(encoder, names), Drift.of(folder, encoder, names), folder, fingerprint(folder))


def fingerprint(folder: Path) -> str:
    """Changes when the version's files do."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "code" not in path.relative_to(folder).parts[:1])
    return "|".join(f"{path.relative_to(folder)}:{path.stat().st_size}:{path.stat().st_mtime_ns}" for path in files)


class Models:
    """See the module.

    Args:
        repository: folder of models. feature_set: what the service computes. server: the Triton that serves the repository.
        default: (model, version) where the repository remembers none.
        prepare: called with each model before it is used.
    """

    def __init__(self, repository: Path, feature_set: FeatureSet, server: TritonServerClient, default: Key):
        self.repository, self._feature_set, self._server = repository, feature_set, server
        self._served: dict[Key, ServedModel] = {}
        self._refused: dict[Key, str] = {}
        self._default, self._previous = remembered(repository) or (default, None)
        self._changing = asyncio.Lock()
        self.prepare: Callable[[ServedModel], None] = lambda model: None

    def __iter__(self) -> Iterator[ServedModel]:
        return iter(self._served.values())

    @property
    def default(self) -> ServedModel:
        return self._served[self._default]

    def find(self, name: str | None = None, version: str | None = None) -> ServedModel:
        """The model that a call asks for; the default's name and, for that name, the default's version where it does not say.

        Raises:
            InvalidRequest: there is none, with the nearest name.
        """
        if name is None and version is None:
            return self._served[self._default]
        model = name if name is not None else self._default[0]
        if version is None:
            number = self._default[1] if model == self._default[0] else max((v for m, v in self._served if m == model), default=0)
        else:
            number = int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0
        found = self._served.get((model, number))
        if found is None:
            offered = [f"{m}/{v}" for m, v in self._served]
            message = f"There is no model {model[:50]!r} version {(version or '')[:20]!r}. {nearest(f'{model}/{number}', offered)}".strip()
            raise InvalidRequest(message, status=404, kind="unknown_model")
        return found

    async def open(self) -> None:
        """Loads what the repository holds.

        Raises:
            ServingError: the default model cannot be served.
        """
        await self._refresh(ask_triton=False)
        if self._default not in self._served:
            model, version = self._default
            reason = self._refused.get(self._default, "it is not in the repository")
            raise ServingError(f"Model {model!r} version {version} can't be served: {reason}", where="serving.triton.version")

    async def reload(self, pin: Key | None = None) -> dict[str, Any]:
        """Looks at the repository again and makes `pin` the default; None: the newest version of the default's model.

        Raises:
            InvalidRequest: there is no such model to pin. Unavailable: Triton does not answer. Nothing has changed then.
        """
        async with self._changing:
            before = set(self._served)
            await self._refresh(ask_triton=True)
            if pin is None:
                pin = self._default[0], max(version for model, version in self._served if model == self._default[0])
            self._pin(pin)
            log.info("models %s are served; default %s/%d", ", ".join(f"{m}/{v}" for m, v in self._served), *self._default)
            return {"added": _texts(set(self._served) - before), "removed": _texts(before - set(self._served)), **self.describe()}

    async def rollback(self) -> dict[str, Any]:
        """Makes the default before the last change the default again; twice is where one was.

        Raises:
            InvalidRequest: there was none, or it is gone.
        """
        async with self._changing:
            if self._previous is None:
                raise InvalidRequest("There is nothing to go back to: the default was never changed.", status=409, kind="no_previous")
            self._pin(self._previous)
            log.info("rolled back to %s/%d", *self._default)
            return self.describe()

    def describe(self) -> dict[str, Any]:
        """What GET /models answers."""
        for model in self:
            model.drift.count()
        models = [
            {
                "model": model.key[0],
                "version": model.key[1],
                "default": model.key == self._default,
                "fields": len(model.encoder.fields),
                "loaded": _iso(model.loaded),
                "scored_rows": model.drift.rows,
            }
            for model in sorted(self._served.values(), key=lambda model: model.key)
        ]
        refused = [{"model": model, "version": version, "reason": reason} for (model, version), reason in sorted(self._refused.items())]
        return {
            "default": _text(self._default),
            "previous": _text(self._previous) if self._previous else None,
            "models": models,
            "refused": refused,
        }

    # --- changes -------------------------------------------------------------------------------------------------------

    def _pin(self, key: Key) -> None:
        if key not in self._served:
            reason = self._refused.get(key)
            message = f"{_text(key)} is not served{': ' + reason if reason else ''}."
            raise InvalidRequest(f"{message} {nearest(_text(key), _texts(set(self._served)))}".strip(), status=404, kind="unknown_model")
        if key != self._default:
            self._previous, self._default = self._default, key
            _remember(self.repository, self._default, self._previous)

    async def _refresh(self, *, ask_triton: bool) -> None:
        """Makes the table of served models what the repository holds; one that fails is told in `refused`, and an older one stays."""
        found = await asyncio.to_thread(versions_in, self.repository)
        served, refused = {}, {}
        for name in sorted({name for name, _ in found}):
            changed = {key for key in found if key[0] == name} != {key for key in self._served if key[0] == name}
            if ask_triton and changed:
                await self._load_in_triton(name)
        for key, folder in found.items():
            model = self._served.get(key)
            try:
                served[key] = model if model is not None else await self._load(key, folder)
                if model is not None and await asyncio.to_thread(fingerprint, folder) != model.fingerprint:
                    refused[key] = "its files have changed; a version stays as it is: publish the change as another one"
            except JdrecError as error:
                refused[key] = str(error)
        removed = [model for key, model in self._served.items() if key not in served]
        if (
            self._default in self._served and self._default not in served
        ):  # the default's folder is gone: it goes on as long as Triton has it
            served[self._default] = self._served[self._default]
            removed.remove(self._served[self._default])
        self._served, self._refused = served, refused
        for model in removed:
            log.info("%s is no longer served", _text(model.key))

    async def _load_in_triton(self, name: str) -> None:
        try:
            await self._server.load(name)
        except Unavailable as error:
            if error.kind == "triton_unreachable":
                raise
            log.warning("%s", error)  # its versions that are not ready are refused one by one

    async def _is_loaded(self, client: TritonClient) -> bool:
        """A Triton that does not answer may have it: calls are answered 503 until it is back."""
        try:
            return await self._server.has(client.model, client.version)
        except Unavailable:
            return True

    async def _load(self, key: Key, folder: Path) -> ServedModel:
        client = self._server.model(*key)
        model = await asyncio.to_thread(ServedModel.load, folder, self._feature_set, client)
        if not await self._is_loaded(client) and key != self._default:
            raise ServingError("Triton has not loaded it; its log says why.")
        self.prepare(model)
        return model


# --- the remembered default ------------------------------------------------------------------------------------------------


def remembered(repository: Path) -> tuple[Key, Key | None] | None:
    """The default of a repository, and the one before; None where none was ever pinned."""
    try:
        content = json.loads((repository / DEFAULT_FILE).read_bytes())
        previous = content["previous"]
        return parse_key(content["default"]), parse_key(previous) if previous else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(repository: Path, default: Key, previous: Key | None) -> None:
    content = {"default": _text(default), "previous": _text(previous) if previous else None}
    try:
        write_text(repository / DEFAULT_FILE, json.dumps(content) + "\n")
    except OSError as error:  # served all the same; only a restart would not know
        log.warning("the default model can't be remembered in %s: %s", repository, error.strerror)


def parse_key(text: str) -> Key:
    """("embedding", 2) of "embedding/2"; ValueError for another form."""
    name, _, version = text.rpartition("/")
    if not name or not version.isdigit():
        raise ValueError(text)
    return name, int(version)


def _text(key: Key) -> str:
    return f"{key[0]}/{key[1]}"


def _texts(keys: set[Key]) -> list[str]:
    return [_text(key) for key in sorted(keys)]


def _iso(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

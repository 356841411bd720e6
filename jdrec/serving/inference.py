"""Asks Triton for scores, and to load models, over connections that stay open.

Source of the protocol: Triton documentation, "KServe API", "Binary Tensor Data Extension" and "Model Repository Extension".
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from jdrec.errors import DataError, MissingExtra
from jdrec.serving.failures import Unavailable

if TYPE_CHECKING:
    from jdrec.serving.http_pool import Answer, Pool

_HEALTH_S = 2.0
_LOAD_S = 120.0


class TritonServerClient:
    """One Triton, whatever models it has.

    Args:
        url: host:port of its HTTP endpoint.
        timeout_s: longest wait for an answer.
    """

    def __init__(self, url: str, *, timeout_s: float):
        self.url, self._timeout_s = url, timeout_s
        self.pool: Pool

    async def open(self) -> None:
        """Called once in the event loop that will use it."""
        try:
            from jdrec.serving.http_pool import Pool

            self.pool = Pool(self.url, timeout_s=self._timeout_s)
            import httptools  # noqa: F401  the pool parses with it
        except ImportError:
            raise MissingExtra("httptools", "serving") from None

    async def close(self) -> None:
        self.pool.close()

    async def ask(self, method: str, path: str, body: bytes = b"", headers: bytes = b"", timeout_s: float | None = None) -> Answer:
        """An answer with status 200.

        Raises:
            Unavailable: Triton does not answer in time, or answers with an error.
        """
        try:
            answer = await self.pool.ask(method, path, body, headers, timeout_s)
        except (OSError, asyncio.TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(f"Triton at {self.url} does not answer: {reason}", kind="triton_unreachable") from None
        if answer.status != 200:
            raise Unavailable(f"Triton: {_message(answer.body)}", kind="triton_error")
        return answer

    async def is_ready(self, model: str, version: int) -> bool:
        """Whether the model can be asked now."""
        try:
            return await self.has(model, version)
        except Unavailable:
            return False

    async def has(self, model: str, version: int) -> bool:
        """Whether the model is loaded.

        Raises:
            Unavailable: Triton does not answer.
        """
        try:
            await self.ask("GET", f"/v2/models/{quote(model, safe='')}/versions/{version}/ready", timeout_s=_HEALTH_S)
            return True
        except Unavailable as error:
            if error.kind == "triton_error":
                return False
            raise

    async def load(self, model: str) -> None:
        """Makes Triton look at the model's folder again. What it has loaded goes on answering until the new is ready, or stays if that fails.

        Raises:
            Unavailable: it does not load, with Triton's reason.
        """
        await self.ask("POST", f"/v2/repository/models/{quote(model, safe='')}/load", timeout_s=_LOAD_S)

    async def unload(self, model: str) -> None:
        await self.ask("POST", f"/v2/repository/models/{quote(model, safe='')}/unload", timeout_s=_LOAD_S)

    def model(self, name: str, version: int) -> TritonClient:
        return TritonClient(self, name, version)


class TritonClient:
    """One version of one model."""

    def __init__(self, server: TritonServerClient, model: str, version: int):
        self.server, self.model, self.version = server, model, version
        self._path = f"/v2/models/{quote(model, safe='')}/versions/{version}/infer"

    async def ready(self) -> bool:
        return await self.server.is_ready(self.model, self.version)

    async def scores(self, ids: np.ndarray) -> np.ndarray:
        """Probabilities.

        Args:
            ids: int64 [rows, fields], C-contiguous, as INPUT_0 takes them.

        Returns:
            float32 [rows].

        Raises:
            Unavailable: Triton does not answer in time, or answers with an error.
            DataError: a score is no finite number, since the row's values are so large that the network overflows.
        """
        rows, fields = ids.shape
        tensor = ids.tobytes()
        head = _HEAD % (rows, fields, len(tensor))
        answer = await self.server.ask("POST", self._path, head + tensor, b"inference-header-content-length: %d\r\n" % len(head))
        scores = _read_scores(answer, rows)
        if scores is None:
            raise Unavailable(f"Triton's answer for {rows} rows is not a score for each.", kind="triton_error")
        if not np.isfinite(scores).all():
            raise DataError("A row has no score: some of its values are too far from those of training for the model's arithmetic.")
        return scores


_HEAD = (
    b'{"inputs":[{"name":"INPUT_0","datatype":"INT64","shape":[%d,%d],"parameters":{"binary_data_size":%d}}],'
    b'"outputs":[{"name":"OUTPUT_0","parameters":{"binary_data":true}}]}'
)


def _read_scores(answer: Answer, rows: int) -> np.ndarray | None:
    """float32 [rows]; None where the answer is another one."""
    import orjson

    try:
        length = int(answer.headers[b"inference-header-content-length"])
        (output,) = orjson.loads(answer.body[:length])["outputs"]
        described = (output["name"], output["datatype"], output["shape"], output["parameters"]["binary_data_size"])
    except (KeyError, ValueError, TypeError):
        return None
    if described != ("OUTPUT_0", "FP32", [rows, 1], 4 * rows) or len(answer.body) != length + 4 * rows:
        return None
    return np.frombuffer(answer.body, np.float32, rows, length)


def _message(body: bytes) -> str:
    import orjson

    try:
        value: Any = orjson.loads(body)
        return str(value["error"])[:2000]
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace") or "an empty answer"

"""Asks Triton for scores, over a few connections that stay open."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from jdrec.errors import MissingExtra
from jdrec.serving.failures import Unavailable

if TYPE_CHECKING:
    import numpy as np
    from tritonclient.http.aio import InferenceServerClient

_CONNECTIONS = 64
_HEALTH_S = 2.0


class TritonClient:
    """One model version of one Triton.

    Args:
        url: host:port of Triton's HTTP endpoint.
        model: the model and its version.
        timeout_s: longest wait for scores.
    """

    def __init__(self, url: str, *, model: str, version: int, timeout_s: float):
        self.url, self.model, self.version, self._timeout_s = url, model, version, timeout_s
        self._client: InferenceServerClient

    async def open(self) -> None:
        """Called once in the event loop that will use it."""
        try:
            from tritonclient.http.aio import InferenceServerClient
        except ImportError:
            raise MissingExtra("tritonclient", "serving") from None
        self._client = InferenceServerClient(self.url, conn_limit=_CONNECTIONS, conn_timeout=self._timeout_s)

    async def close(self) -> None:
        await self._client.close()

    async def ready(self) -> bool:
        """Whether the model can be asked now."""
        try:
            return await asyncio.wait_for(self._client.is_model_ready(self.model, str(self.version)), _HEALTH_S)
        except Exception:  # whatever keeps it from answering
            return False

    async def scores(self, ids: np.ndarray) -> np.ndarray:
        """Probabilities.

        Args:
            ids: int64 [rows, fields], as INPUT_0 takes them.

        Returns:
            float32 [rows].

        Raises:
            Unavailable: Triton does not answer in time, or answers with an error.
        """
        import aiohttp
        import numpy as np
        from tritonclient.utils import InferenceServerException

        try:
            result = await self._infer(ids)
        except InferenceServerException as error:
            raise Unavailable(f"Triton: {error.message()}", kind="triton_error") from None
        except ValueError as error:  # an answer that is no tensor of its own shape
            raise Unavailable(f"Triton: {error}", kind="triton_error") from None
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(f"Triton at {self.url} does not answer: {reason}", kind="triton_unreachable") from None
        if result is None or result.shape != (len(ids), 1) or not np.isfinite(result).all():
            raise Unavailable(f"Triton's answer for {len(ids)} rows is not a score for each.", kind="triton_error")
        return result[:, 0]

    async def _infer(self, ids: np.ndarray) -> np.ndarray | None:
        import aiohttp
        from tritonclient.http import InferInput, InferRequestedOutput

        tensor = InferInput("INPUT_0", list(ids.shape), "INT64")
        tensor.set_data_from_numpy(ids, binary_data=True)
        output = InferRequestedOutput("OUTPUT_0", binary_data=True)
        for attempt in (1, 2):
            try:
                result = await self._client.infer(self.model, [tensor], str(self.version), outputs=[output])
                return result.as_numpy("OUTPUT_0")
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                # A restarted Triton has closed our idle connections; scoring twice does no harm.
                if attempt == 2 or isinstance(error, aiohttp.ClientConnectorError):
                    raise
        raise AssertionError("unreachable")

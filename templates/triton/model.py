"""Triton's Python backend runs this file: it scores with the checkpoint and the scoring code that lie beside it.

    <version>/model.py           this file
    <version>/model/             the checkpoint: model.safetensors, checkpoint.json
    <version>/code/jdrec/        the modules that scoring needs, copied at export

It needs what requirements.txt lists, and no jdrec installed.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import triton_python_backend_utils as triton

# A matrix product of a few rows reads the weights as slowly as one of many; a vector's product is several times faster.
FEW_ROWS = 3
# A product of so many rows keeps a core busy long enough to be worth a thread.
ROWS_A_THREAD = 64


class TritonPythonModel:
    """INPUT_0 int64 [rows, fields] -> OUTPUT_0 float32 [rows, 1], probabilities."""

    def initialize(self, args):
        version = os.path.join(args["model_repository"], args["model_version"])
        sys.path.insert(0, os.path.join(version, "code"))
        from jdrec.training.scoring import Scorer

        self.scorer = Scorer(os.path.join(version, "model"))
        # OpenBLAS's own threads wait by spinning: they take the cores from everybody else. Where it has one, rows are spread here.
        self.threads = len(os.sched_getaffinity(0)) if os.environ.get("OPENBLAS_NUM_THREADS") == "1" else 1
        self.pool = ThreadPoolExecutor(self.threads)

    def scores(self, ids):
        """float32 [rows, 1] of int64 [rows, fields]."""
        rows = len(ids)
        parts = rows if rows <= FEW_ROWS else min(self.threads, max(1, rows // ROWS_A_THREAD))
        if parts <= 1:
            return self.scorer.scores(ids)
        pieces = np.array_split(ids, parts)
        scored = map(self.scorer.scores, pieces) if rows <= FEW_ROWS else self.pool.map(self.scorer.scores, pieces)
        return np.concatenate(list(scored))

    def finalize(self):
        self.pool.shutdown()

    def execute(self, requests):
        """Scores all requests that Triton has batched in one go; an error is the requests', and the model stays loaded."""
        try:
            parts = [triton.get_input_tensor_by_name(request, "INPUT_0").as_numpy() for request in requests]
            if len(parts) == 1:
                return [triton.InferenceResponse([triton.Tensor("OUTPUT_0", self.scores(parts[0]))])]
            scores = self.scores(np.concatenate(parts))
            ends = np.cumsum([len(part) for part in parts])[:-1]
            return [triton.InferenceResponse([triton.Tensor("OUTPUT_0", part)]) for part in np.split(scores, ends)]
        except Exception as error:
            failure = triton.TritonError(f"{type(error).__name__}: {error}")
            return [triton.InferenceResponse(output_tensors=[], error=failure) for _ in requests]

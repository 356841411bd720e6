"""Triton's Python backend runs this file: it scores with the checkpoint and the scoring code that lie beside it.

    <version>/model.py           this file
    <version>/model/             the checkpoint: model.safetensors, checkpoint.json
    <version>/code/jdrec/        the modules that scoring needs, copied at export

It needs what requirements.txt lists, and no jdrec installed.
"""

import os
import sys

import numpy as np
import triton_python_backend_utils as triton


class TritonPythonModel:
    """INPUT_0 int64 [rows, fields] -> OUTPUT_0 float32 [rows, 1], probabilities."""

    def initialize(self, args):
        version = os.path.join(args["model_repository"], args["model_version"])
        sys.path.insert(0, os.path.join(version, "code"))
        from jdrec.training.scoring import Scorer

        self.scorer = Scorer(os.path.join(version, "model"))

    def execute(self, requests):
        """Scores all requests that Triton has batched in one go; an error is the requests', and the model stays loaded."""
        try:
            parts = [triton.get_input_tensor_by_name(request, "INPUT_0").as_numpy() for request in requests]
            ids = parts[0] if len(parts) == 1 else np.concatenate(parts)
            scores = np.asarray(self.scorer.scores(ids), np.float32).reshape(-1, 1)
            ends = np.cumsum([len(part) for part in parts])[:-1]
            return [triton.InferenceResponse([triton.Tensor("OUTPUT_0", part)]) for part in np.split(scores, ends)]
        except Exception as error:
            failure = triton.TritonError(f"{type(error).__name__}: {error}")
            return [triton.InferenceResponse(output_tensors=[], error=failure) for _ in requests]

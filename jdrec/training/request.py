"""What a process of a distributed training is told."""

from __future__ import annotations

from pathlib import Path

import msgspec

from jdrec.config import EvaluateConfig, ModelConfig, TrainerConfig


class Request(msgspec.Struct, frozen=True):
    """The arguments of `jdrec.training.train`."""

    model: ModelConfig
    trainer: TrainerConfig
    samples: str
    out: str
    seed: int
    evaluate: EvaluateConfig = EvaluateConfig()
    title: str = ""

    def run(self) -> None:
        """Trains, as one of the processes."""
        from jdrec.training.run import train

        train(self.model, self.trainer, Path(self.samples), Path(self.out), seed=self.seed, evaluate=self.evaluate, title=self.title)

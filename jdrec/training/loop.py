"""The training loop, the same for every framework: batches, evaluations, checkpoints, early stop, interruption."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, SupportsFloat

import numpy as np

from jdrec.config import TrainerConfig
from jdrec.errors import TrainingError
from jdrec.progress import Progress, Task
from jdrec.training.adapter import Adapter
from jdrec.training.data import ShuffledStream, Split
from jdrec.training.early_stop import EarlyStop
from jdrec.training.interrupt import Interrupt, deferred_interrupt
from jdrec.training.metrics import all_metrics
from jdrec.training.schedule import Schedule

log = logging.getLogger(__name__)

End = Literal["early stop", "train_batches", "interrupted"]


@dataclass(frozen=True)
class Evaluation:
    """Validation metrics after `step` batches. train_loss is the mean since the evaluation before; seconds count from the start."""

    step: int
    epoch: float
    auc: float
    logloss: float
    train_loss: float
    learning_rate: float
    seconds: float
    best: bool


@dataclass
class TrainReport:
    """What training did.

    checkpoint: the one to use. best: the validation metrics of that checkpoint; empty if it was never evaluated.
    """

    checkpoint: Path
    best: dict[str, float]
    history: list[Evaluation]
    end: End
    step: int
    epoch: float
    seconds: float
    samples_per_second: float
    device: str
    parameters: int

    @property
    def interrupted(self) -> bool:
        return self.end == "interrupted"

    @property
    def best_metric(self) -> float:
        """The validation AUC of the checkpoint; NaN if it was never evaluated."""
        return self.best.get("auc", math.nan)

    def summary(self) -> str:
        """One line for the log."""
        metrics = f", valid AUC {self.best['auc']:.4f} logloss {self.best['logloss']:.4f}" if self.best else ""
        return (
            f"{self.step:,} batches, {self.epoch:.1f} epochs on {self.device}, {self.samples_per_second:,.0f} samples/s, "
            f"{self.parameters:,} parameters, ended by {self.end}{metrics}"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain containers; the inverse of `from_json`."""
        return {**asdict(self), "checkpoint": self.checkpoint.name}

    @classmethod
    def from_json(cls, values: dict[str, Any], out: Path) -> TrainReport:
        """A report as it lies in `out`, the folder of the checkpoints."""
        history = [Evaluation(**evaluation) for evaluation in values["history"]]
        return cls(**{**values, "checkpoint": out / values["checkpoint"], "history": history})


@dataclass
class Loop:
    """One training.

    Args:
        adapter: the model in its framework.
        train: samples to learn from.
        valid: samples that early stop watches.
        config: the trainer's configuration.
        schedule: of the learning rate.
        out: folder of the checkpoints: best/, and step_N/ and initial/ where configured.
        save: writes a checkpoint: (folder, weights, step, epoch, validation metrics). The loop decides when.
        seed: of the shuffling.
    """

    adapter: Adapter
    train: Split
    valid: Split
    config: TrainerConfig
    schedule: Schedule
    out: Path
    save: Callable[[Path, dict[str, np.ndarray], int, float, dict[str, float]], None]
    seed: int
    progress: Progress = field(default_factory=Progress.silent)

    def __post_init__(self) -> None:
        config = self.config
        self.epoch_batches = math.ceil(len(self.train) / config.batch_size)
        stop = config.early_stop
        self.early_stop = EarlyStop(stop.monitor, stop.patience if stop.enabled else None, stop.min_delta)
        self.step = 0
        self.best: dict[str, float] = {}
        self.history: list[Evaluation] = []
        self._losses: list[float] = []  # since the last evaluation
        self._pending: list[SupportsFloat] = []  # of the last batches, not yet fetched from the device
        self._saved_best = False
        self._note: str | None = None  # for the progress display
        self._pause = 0.0  # seconds spent on evaluation and checkpoints

    def run(self) -> TrainReport:
        """Trains to the end.

        Raises:
            TrainingError: the loss is no longer a number.
        """
        self._start = time.perf_counter()
        if self.config.save_initial:
            self._save("initial", {})
        with deferred_interrupt() as interrupt, self.progress.task("train", self.config.train_batches) as task:
            end = self._batches(task, interrupt)
        if end == "interrupted":
            log.warning("interrupted after batch %s; saving a checkpoint", f"{self.step:,}")
            self._save(f"step_{self.step}", {})
        if not self._saved_best:  # with save_best=false, or interrupted before the first evaluation
            self.best = self._last_metrics() if not self.config.save_best else {}
            self._save("best", self.best)
        return self._report(end)

    def _batches(self, task: Task, interrupt: Interrupt) -> End:
        config = self.config
        interval = config.eval_interval or self.epoch_batches
        stream = ShuffledStream(self.train, config.batch_size, self.seed)
        mark, marked = time.perf_counter(), 0
        while self.step < config.train_batches:
            if interrupt.requested:
                return "interrupted"
            rate = self.schedule.at(self.step)
            self._pending.append(self.adapter.train_batch(stream.batch(self.step), rate))
            self.step += 1
            if self.step % config.loss_print_interval == 0:
                self._fetch_losses(rate)
                now = time.perf_counter()
                self._log_loss(rate, (self.step - marked) * config.batch_size / (now - mark))
                mark, marked = now, self.step
            task.update(self.step, self._note)
            if self.step % interval == 0 or self.step == config.train_batches:
                before = time.perf_counter()
                self._fetch_losses(rate)
                self._evaluate(rate)
                mark += time.perf_counter() - before  # samples/s is of training alone
                if self.early_stop.stop:
                    return "early stop"
        return "train_batches"

    def _fetch_losses(self, rate: float) -> None:
        first = self.step - len(self._pending) + 1
        for batch, loss in enumerate(map(float, self._pending), first):
            if not math.isfinite(loss):
                raise TrainingError(
                    f"The loss became {loss} in batch {batch} (epoch {self._epoch():.2f}, learning rate {rate:g}).",
                    where="trainer",
                    hint="Lower trainer.learning_rate, or look for extreme numeric values.",
                )
            self._losses.append(loss)
        self._pending.clear()

    def _log_loss(self, rate: float, speed: float) -> None:
        recent = float(np.mean(self._losses[-self.config.loss_print_interval :]))
        auc = f" · AUC {self.history[-1].auc:.4f}" if self.history else ""
        self._note = f"loss {recent:.4f}{auc} · {speed:,.0f} samples/s"
        if self.adapter.is_main:
            log.info("batch %s  loss %.4f  lr %.1e  %s samples/s", f"{self.step:,}", recent, rate, f"{speed:,.0f}")

    def _evaluate(self, rate: float) -> None:
        start = time.perf_counter()
        logits = np.concatenate([self.adapter.logits(batch) for batch in self.valid.batches(self.config.batch_size)])
        metrics = all_metrics(self.valid.labels, logits)
        best = self.early_stop.improved(metrics)
        evaluation = Evaluation(
            self.step, self._epoch(), metrics["auc"], metrics["logloss"], float(np.mean(self._losses)), rate, start - self._start, best
        )
        self.history.append(evaluation)
        self._losses.clear()
        if self.adapter.is_main:
            log.info(
                "batch %s  epoch %.1f  train loss %.4f  valid AUC %.4f logloss %.4f%s",
                f"{self.step:,}",
                evaluation.epoch,
                evaluation.train_loss,
                metrics["auc"],
                metrics["logloss"],
                "  best" if best else "",
            )
        if self.config.save_after_each_eval:
            self._save(f"step_{self.step}", metrics)
        if best and self.config.save_best:
            self.best = metrics
            self._save("best", metrics)
        self._pause += time.perf_counter() - start

    def _save(self, name: str, metrics: dict[str, float]) -> None:
        weights = self.adapter.weights()  # by every process: a table may be spread over them
        self._saved_best |= name == "best"
        if self.adapter.is_main:
            self.save(self.out / name, weights, self.step, self._epoch(), metrics)

    def _report(self, end: End) -> TrainReport:
        seconds = time.perf_counter() - self._start
        return TrainReport(
            checkpoint=self.out / "best",
            best=self.best,
            history=self.history,
            end=end,
            step=self.step,
            epoch=self._epoch(),
            seconds=seconds,
            samples_per_second=self.step * self.config.batch_size / max(seconds - self._pause, 1e-9),
            device=self.adapter.device,
            parameters=sum(array.size for array in self.adapter.weights().values()),
        )

    def _epoch(self) -> float:
        return self.step * self.config.batch_size / len(self.train)

    def _last_metrics(self) -> dict[str, float]:
        last = self.history[-1] if self.history else None
        return {"auc": last.auc, "logloss": last.logloss} if last and last.step == self.step else {}

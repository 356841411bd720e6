"""The training loop, the same for every framework: batches, evaluations, checkpoints, early stop, interruption."""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, SupportsFloat

import numpy as np

from jdrec.config import TrainerConfig
from jdrec.errors import TrainingError
from jdrec.progress import Progress, Task
from jdrec.training.adapter import Adapter, Stream
from jdrec.training.culprit import culprit
from jdrec.training.data import Batch, ShuffledStream, SingleBatch, Split
from jdrec.training.early_stop import EarlyStop
from jdrec.training.interrupt import Interrupt, deferred_interrupt
from jdrec.training.jackknife import intervals
from jdrec.training.metrics import Scored, stated
from jdrec.training.resume import SnapshotFolder
from jdrec.training.schedule import Schedule

log = logging.getLogger(__name__)

End = Literal["early stop", "train_batches", "interrupted"]
_LEARNT = 0.01  # logloss of a batch that is known by heart
_PROFILE_FROM = 10  # batches: caches are warm, code is compiled


@dataclass(frozen=True)
class Evaluation:
    """Validation metrics after `step` batches. train_loss is the mean since the evaluation before; seconds count from the start.

    metrics: all of them, auc and logloss included. interval: metric to [low, high], with 95 % confidence (`jdrec.training.jackknife`).
    """

    step: int
    epoch: float
    auc: float
    logloss: float
    train_loss: float
    learning_rate: float
    seconds: float
    best: bool
    metrics: dict[str, float]
    interval: dict[str, list[float]] = field(default_factory=dict)

    def stated(self, split: str = "valid") -> str:
        """AUC and logloss with their intervals."""
        auc, logloss = (stated(self.metrics[name], self.interval.get(name)) for name in ("auc", "logloss"))
        return f"{split} AUC {auc} logloss {logloss}"


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
    watched: str = "valid"  # split of the evaluations; "batch" with trainer.overfit_batch

    @property
    def interrupted(self) -> bool:
        return self.end == "interrupted"

    @property
    def best_metric(self) -> float:
        """The validation AUC of the checkpoint; NaN if it was never evaluated."""
        return self.best.get("auc", math.nan)

    def summary(self) -> str:
        """One line for the log."""
        kept = [evaluation for evaluation in self.history if evaluation.logloss == self.best.get("logloss")]
        metrics = f", {kept[-1].stated(self.watched)}" if kept else ""
        return (
            f"{self.step:,} batches, {self.epoch:.1f} epochs on {self.device}, {self.samples_per_second:,.0f} samples/s, "
            f"{self.parameters:,} parameters, ended by {self.end}{metrics}"
        )

    def _repr_html_(self) -> str:
        from jdrec.display import training_html

        return training_html(self)

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
        valid: samples that early stop watches; with trainer.overfit_batch that is the one batch instead.
        config: the trainer's configuration.
        schedule: of the learning rate.
        out: folder of the checkpoints: best/, and step_N/ and initial/ where configured.
        save: writes a checkpoint: (folder, weights, step, epoch, validation metrics). The loop decides when.
        seed: of the shuffling.
        logit_shift: to add to the network's logits.
        groups: of the validation rows, for gauc.
        fields: names, for messages: of the fields that each column of a batch belongs to.
        title: of this training among several, as in fold 2 of 5, for the log.
        watch: is told every evaluation as it is made, and after a resume those of before.
        snapshots: where to save the state to resume from, and to look for one; None: nowhere.
    """

    adapter: Adapter
    train: Split
    valid: Split | SingleBatch
    config: TrainerConfig
    schedule: Schedule
    out: Path
    save: Callable[[Path, dict[str, np.ndarray], int, float, dict[str, float]], None]
    seed: int
    progress: Progress = field(default_factory=Progress.silent)
    logit_shift: float = 0.0
    groups: np.ndarray | None = None
    fields: tuple[str, ...] = ()
    title: str = ""
    watch: Callable[[Evaluation], None] | None = None
    snapshots: SnapshotFolder | None = None

    def __post_init__(self) -> None:
        config = self.config
        self.epoch_batches = math.ceil(len(self.train) / config.batch_size)
        self.last_batch = last_batch(config, self.epoch_batches)
        stop = config.early_stop
        patience = stop.patience if stop.enabled and not config.overfit_batch else None
        self.early_stop = EarlyStop(stop.monitor, patience, stop.min_delta)
        self.step = 0
        self.best: dict[str, float] = {}
        self.history: list[Evaluation] = []
        self._losses: list[float] = []  # since the last evaluation
        self._pending: list[SupportsFloat] = []  # of the last batches, not yet fetched from the device
        self._saved_best = False
        self._note: str | None = None  # for the progress display
        self._watched = "batch" if config.overfit_batch else "valid"
        self._who = f"{self.title}: " if self.title else ""
        self._pause = 0.0  # seconds spent on evaluation and checkpoints
        self._first = 0  # batch that this process began with

    def run(self) -> TrainReport:
        """Trains to the end.

        Raises:
            TrainingError: the loss is no longer a number.
        """
        self._start = time.perf_counter()
        self._resume()
        if self.config.save_initial and self.step == 0:
            self._save("initial", {})
        with deferred_interrupt() as interrupt, self.progress.task(f"train {self.title}".rstrip(), self.last_batch) as task:
            end = self._batches(task, interrupt)
        if end == "interrupted":
            log.warning("%sinterrupted after batch %s; saving a checkpoint", self._who, f"{self.step:,}")
            self._save(f"step_{self.step}", {})
            self._save_snapshot()
        if not self._saved_best:  # with save_best=false, or interrupted before the first evaluation
            self.best = self._last_metrics() if not self.config.save_best else {}
            self._save("best", self.best)
        return self._report(end)

    def _batches(self, task: Task, interrupt: Interrupt) -> End:
        config = self.config
        interval = config.eval_interval or self.epoch_batches
        shuffled = ShuffledStream(self.train, config.batch_size, self.seed)
        stream: Stream = shuffled
        if config.overfit_batch:
            stream = self.valid = SingleBatch(shuffled)
        batches = self.adapter.batches(stream)
        mark, marked = time.perf_counter(), self.step
        with ExitStack() as profile:
            while self.step < self.last_batch and not self.early_stop.stop:
                if interrupt.requested:
                    return "interrupted"
                rate = self.schedule.at(self.step)
                with _unwarned():
                    loss = self.adapter.train_batch(batches.batch(self.step), rate)
                self._pending.append(loss)
                self.step += 1
                if isinstance(loss, float) and not math.isfinite(loss):  # known at once, before more steps hide where it comes from
                    self._fetch_losses(rate, stream)
                if config.profile:
                    self._profile(profile)
                if self.step % config.loss_print_interval == 0:
                    self._fetch_losses(rate, stream)
                    now = time.perf_counter()
                    self._log_loss(rate, (self.step - marked) * config.batch_size / (now - mark))
                    mark, marked = now, self.step
                task.update(self.step, self._note)
                evaluates = self.step % interval == 0 or self.step == self.last_batch
                if evaluates or (config.resume_interval and self.step % config.resume_interval == 0):
                    before = time.perf_counter()
                    self._fetch_losses(rate, stream)
                    if evaluates:
                        self._evaluate(rate)
                    if self.step < self.last_batch and not self.early_stop.stop:
                        self._save_snapshot()
                    pause = time.perf_counter() - before
                    mark, self._pause = mark + pause, self._pause + pause  # samples/s is of training alone
        if config.profile and self.adapter.is_main:
            self._tell_of_profile(config.profile)
        if config.overfit_batch and self.history and self.adapter.is_main:
            self._judge_overfitting()
        return "early stop" if self.early_stop.stop else "train_batches"

    def _profile(self, stack: ExitStack) -> None:
        assert self.config.profile is not None
        done = self.step - self._first
        if done == _PROFILE_FROM:
            stack.enter_context(self.adapter.profiler(self.out))
        elif done == _PROFILE_FROM + self.config.profile:
            stack.close()

    def _tell_of_profile(self, batches: int) -> None:
        traced = min(self.step - self._first - _PROFILE_FROM, batches)
        if traced <= 0:
            log.warning("%strainer.profile: nothing to trace, training ended within the first %d batches", self._who, _PROFILE_FROM)
            return
        files = ", ".join(sorted(file.name for file in self.out.glob("trace*.json")))
        log.info("%strainer.profile: %s batches in %s, beside the checkpoints; Perfetto opens them", self._who, f"{traced:,}", files)

    def _judge_overfitting(self) -> None:
        loss = self.history[-1].logloss
        if loss < _LEARNT:
            log.info("%strainer.overfit_batch: the model has learnt its batch by heart, logloss %.1e", self._who, loss)
        else:
            log.warning(
                "%strainer.overfit_batch: after %s batches the logloss of the one batch is still %.4f: with model.dropout=0, enough batches "
                "and a fitting learning rate it should vanish, or the model has a mistake",
                self._who,
                f"{self.step:,}",
                loss,
            )

    def _fetch_losses(self, rate: float, stream: Stream) -> None:
        first = self.step - len(self._pending) + 1
        for batch, loss in enumerate(map(float, self._pending), first):
            if not math.isfinite(loss):
                raise self._not_a_number(f"The loss became {loss} in batch {batch}", stream.batch(batch - 1), rate)
            self._losses.append(loss)
        self._pending.clear()

    def _not_a_number(self, what: str, batch: Batch, rate: float) -> TrainingError:
        found = culprit(self.adapter.weights(), batch, self.fields)
        return TrainingError(
            f"{what} (epoch {self._epoch():.2f}, learning rate {rate:g}): {found}.",
            where="trainer",
            hint="Lower trainer.learning_rate, set trainer.clip_norm, or look for extreme numeric values.",
        )

    def _validation_logits(self, rate: float) -> np.ndarray:
        """float32 [rows]."""
        parts = []
        for batch in self.valid.batches(self.config.batch_size):
            with _unwarned():
                logits = self.adapter.logits(batch)
            if not np.isfinite(logits).all():
                raise self._not_a_number(f"After batch {self.step} a validation sample's score is not a number", batch, rate)
            parts.append(logits)
        return np.concatenate(parts) + np.float32(self.logit_shift)

    def _log_loss(self, rate: float, speed: float) -> None:
        recent = float(np.mean(self._losses[-self.config.loss_print_interval :])) if self._losses else math.nan
        auc = f" · AUC {self.history[-1].auc:.4f}" if self.history else ""
        self._note = f"loss {recent:.4f}{auc} · {speed:,.0f} samples/s"
        if self.adapter.is_main:
            log.info("%sbatch %s  loss %.4f  lr %.1e  %s samples/s", self._who, f"{self.step:,}", recent, rate, f"{speed:,.0f}")

    def _evaluate(self, rate: float) -> None:
        start = time.perf_counter()
        scored = Scored(self.valid.labels, self._validation_logits(rate), self.groups)
        metrics = scored.summary()
        best = self.early_stop.improved(metrics)
        self.schedule.evaluated(best)
        evaluation = Evaluation(
            step=self.step,
            epoch=self._epoch(),
            auc=metrics["auc"],
            logloss=metrics["logloss"],
            train_loss=float(np.mean(self._losses)),
            learning_rate=rate,
            seconds=start - self._start,
            best=best,
            metrics=metrics,
            interval=intervals(scored, metrics),
        )
        self.history.append(evaluation)
        self._tell(evaluation)
        self._losses.clear()
        if self.adapter.is_main:
            log.info(
                "%sbatch %s  epoch %.1f  train loss %.4f  %s%s",
                self._who,
                f"{self.step:,}",
                evaluation.epoch,
                evaluation.train_loss,
                evaluation.stated(self._watched),
                "  best" if best else "",
            )
        if self.config.save_after_each_eval:
            self._save(f"step_{self.step}", metrics)
            self._prune()
        if best and self.config.save_best:
            self.best = metrics
            self._save("best", metrics)

    def _tell(self, evaluation: Evaluation) -> None:
        if self.watch is not None and self.adapter.is_main:
            self.watch(evaluation)

    def _save(self, name: str, metrics: dict[str, float]) -> None:
        weights = self.adapter.weights()  # by every process: a table may be spread over them
        self._saved_best |= name == "best"
        if self.adapter.is_main:
            self.save(self.out / name, weights, self.step, self._epoch(), metrics)

    def _prune(self) -> None:
        """Keeps the newest trainer.keep_last of the checkpoints that evaluations leave."""
        if self.config.keep_last is None or not self.adapter.is_main:
            return
        for evaluation in self.history[: -self.config.keep_last]:
            shutil.rmtree(self.out / f"step_{evaluation.step}", ignore_errors=True)

    def _save_snapshot(self) -> None:
        if self.snapshots is None:
            return
        weights, state = self.adapter.weights(), self.adapter.state()
        loop = {
            "step": self.step,
            "best": self.best,
            "saved_best": self._saved_best,
            "losses": self._losses,
            "history": [asdict(evaluation) for evaluation in self.history],
            "early_stop": [self.early_stop.best, self.early_stop.without_improvement],
            "schedule": [self.schedule.lowered, self.schedule.waited],
        }
        if self.adapter.is_main:
            self.snapshots.save(loop, weights, state)

    def _resume(self) -> None:
        found = self.snapshots.load() if self.snapshots is not None else None
        if found is None:
            return
        self.adapter.load(found.weights, found.state)
        loop = found.loop
        self.step, self.best, self._saved_best, self._losses = loop["step"], loop["best"], loop["saved_best"], loop["losses"]
        self.history = [Evaluation(**evaluation) for evaluation in loop["history"]]
        for evaluation in self.history:
            self._tell(evaluation)
        self.early_stop.best, self.early_stop.without_improvement = loop["early_stop"]
        self.schedule.lowered, self.schedule.waited = loop["schedule"]
        self._first = self.step
        log.info("%sresuming after batch %s", self._who, f"{self.step:,}")

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
            samples_per_second=(self.step - self._first) * self.config.batch_size / max(seconds - self._pause, 1e-9),
            device=self.adapter.device,
            parameters=sum(array.size for array in self.adapter.weights().values()),
            watched=self._watched,
        )

    def _epoch(self) -> float:
        return self.step * self.config.batch_size / len(self.train)

    def _last_metrics(self) -> dict[str, float]:
        last = self.history[-1] if self.history else None
        return last.metrics if last and last.step == self.step else {}


def _unwarned() -> np.errstate:
    """For sums that may overflow: the loop looks whether a loss or a score is a number, and names field and batch."""
    return np.errstate(over="ignore", invalid="ignore")


def last_batch(config: TrainerConfig, epoch_batches: int) -> int:
    """How many batches a training has at most."""
    if config.epochs is None:
        return config.train_batches
    return min(config.train_batches, config.epochs * epoch_batches)

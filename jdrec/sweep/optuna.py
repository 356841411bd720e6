"""hydra/sweeper=optuna: values chosen by an Optuna study that lies in the sweep's folder and goes on after a stop.

hydra-optuna-sweeper needs Optuna 2 of 2021 and numbers the jobs of every start from 0, over those of the start before.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.plugins.sweeper import Sweeper
from omegaconf import OmegaConf

from jdrec.errors import ConfigError, MissingExtra
from jdrec.sweep.jobs import METRIC

if TYPE_CHECKING:
    import optuna
    from hydra.core.override_parser.types import Override

log = logging.getLogger(__name__)

STUDY = "study.db"
_NAME = "jdrec"


class OptunaSweeper(Sweeper):
    """Asks the study for values, launches jobs, tells it what they returned.

    Args:
        trials: of the study, those of earlier starts included.
        parallel: how many to ask for at a time; the launcher runs them side by side if it can.
        sampler: tpe (tree-structured Parzen estimator) or random.
        seed: of the sampler.
        startup: trials of the tpe sampler that are random.
        storage: address of the study's storage; study.db in the sweep's folder by default.
        params: the search space as overrides, such as {trainer.learning_rate: "tag(log, interval(1e-4, 1e-2))"}.
    """

    def __init__(
        self,
        trials: int = 20,
        parallel: int = 1,
        sampler: str = "tpe",
        seed: int = 2016,
        startup: int = 10,
        storage: str | None = None,
        params: Any = None,
    ):
        self.trials, self.parallel, self.sampler, self.seed, self.startup, self.storage = trials, parallel, sampler, seed, startup, storage
        self.params = params or {}

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        from hydra.core.plugins import Plugins

        self.context, self.cfg = hydra_context, config
        self.launcher: Any = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        from hydra.core.override_parser.overrides_parser import OverridesParser

        folder = Path(self.cfg.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.cfg, folder / "multirun.yaml")
        parser = OverridesParser.create(config_loader=self.context.config_loader)
        parsed = parser.parse_overrides([*(f"{key}={value}" for key, value in self.params.items()), *arguments])
        last = {override.get_key_element(): override for override in parsed}  # the command line has the last word
        space = {key: distribution(override) for key, override in last.items() if override.is_sweep_override()}
        fixed = [f"{key}={o.get_value_element_as_str()}" for key, o in last.items() if not o.is_sweep_override()]
        if not space:
            raise ConfigError(
                "there is nothing to choose.", where="hydra.sweeper.params", hint="Add e.g. 'trainer.learning_rate=interval(1e-4,1e-2)'."
            )
        study = self._open(folder)
        self._go_on(study, fixed)
        while (left := self.trials - _count(study)) > 0:
            self._run(study, [study.ask(space) for _ in range(min(self.parallel, left))], fixed)
        if _values(study):
            best = study.best_trial
            log.info("best %s %.4f: job %s, %s", METRIC, best.value, best.number, " ".join(f"{k}={v}" for k, v in best.params.items()))

    def _open(self, folder: Path) -> optuna.Study:
        try:
            import optuna
        except ImportError:
            raise MissingExtra("Optuna", "sweep", where="hydra/sweeper") from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = self.storage or f"sqlite:///{(folder / STUDY).resolve()}"
        study = optuna.create_study(study_name=_NAME, storage=storage, direction="maximize", load_if_exists=True)
        seed = self.seed + len(study.trials)  # the same seed again would propose the first values again
        if self.sampler == "random":
            study.sampler = optuna.samplers.RandomSampler(seed=seed)
        elif self.sampler == "tpe":
            study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=self.startup, constant_liar=self.parallel > 1)
        else:
            raise ConfigError(f"there is no sampler {self.sampler!r}.", where="hydra.sweeper.sampler", hint="Valid: tpe, random.")
        return study

    def _go_on(self, study: optuna.Study, fixed: Sequence[str]) -> None:
        """Runs the trials that an earlier start left unfinished, each in its own folder."""
        import optuna

        left = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.RUNNING]
        if study.trials:
            log.info("going on with the study: %s trials told, %s left unfinished", _count(study), len(left))
        for trial in left:
            self._run(study, [trial], fixed)

    def _run(self, study: optuna.Study, trials: Sequence[Any], fixed: Sequence[str]) -> None:
        import optuna

        overrides = [[*fixed, *(f"{key}={value}" for key, value in trial.params.items())] for trial in trials]
        returned = self.launcher.launch(overrides, initial_job_idx=trials[0].number)
        for trial, job in zip(trials, returned, strict=True):
            value = job.return_value
            if value is None or math.isnan(value):
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial.number, value)


def distribution(override: Override) -> Any:
    """What a sweep override lets a study choose from.

    Raises:
        ConfigError: it is of another kind than a choice, a range or an interval.
    """
    from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, RangeSweep
    from optuna import distributions

    key, sweep = override.get_key_element(), override.value()
    if isinstance(sweep, ChoiceSweep):
        return distributions.CategoricalDistribution(list(override.sweep_string_iterator()))
    logarithmic = "log" in sweep.tags if isinstance(sweep, RangeSweep | IntervalSweep) else False
    if isinstance(sweep, RangeSweep) and sweep.start is not None and sweep.stop is not None:
        if all(isinstance(value, int) for value in (sweep.start, sweep.stop, sweep.step)):
            return distributions.IntDistribution(int(sweep.start), int(sweep.stop) - 1, step=int(sweep.step))
        return distributions.FloatDistribution(sweep.start, sweep.stop, step=sweep.step)
    if isinstance(sweep, IntervalSweep) and sweep.start is not None and sweep.end is not None:
        if "int" in sweep.tags or (isinstance(sweep.start, int) and isinstance(sweep.end, int)):
            return distributions.IntDistribution(int(sweep.start), int(sweep.end), log=logarithmic)
        return distributions.FloatDistribution(sweep.start, sweep.end, log=logarithmic)
    raise ConfigError("a study chooses from choice(...), range(...) or interval(...).", where=key)


def _values(study: optuna.Study) -> list[float]:
    return [trial.value for trial in study.trials if trial.value is not None]


def _count(study: optuna.Study) -> int:
    """Trials that were told; those left running are not."""
    return sum(trial.state.is_finished() for trial in study.trials)

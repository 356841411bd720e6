"""Training, evaluation and scoring.

>>> from jdrec import training
>>> report = training.train(config.model, config.trainer, samples, out, seed=2016)
>>> training.evaluate(report.checkpoint, samples, "test")["auc"]
"""

from jdrec.training.evaluation import evaluate
from jdrec.training.folds import evaluate_folds, train_folds
from jdrec.training.loop import TrainReport
from jdrec.training.run import finished, train

__all__ = ["TrainReport", "evaluate", "evaluate_folds", "finished", "train", "train_folds"]

"""AUC over expanding time folds: `python bench/folds.py --root DATA --features jd_deepfm=embedded jd_rich=embedded --json FILE`.

The requests whose label is complete are cut into six blocks of equal size by time. Fold k trains on the blocks before block k and is tested on block k,
which makes five folds. DeepFM watches the newest tenth of its training blocks for the early stop; LightGBM has a fixed number of trees and learns from them
as well. The network and the training are jd_deepfm's for every feature set. The interval is that of the mean of five values (Student's t, 95 %).
"""

from __future__ import annotations

import itertools
import tempfile
import warnings
from pathlib import Path
from typing import Any

import common
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jdrec import preprocess, training
from jdrec.config import Config
from jdrec.engines.choose import extract_with
from jdrec.progress import Progress
from jdrec.stages import Run

BLOCKS = 6
VALID_SHARE = 0.1  # of the training blocks: the newest rows, for the early stop
T_95 = 2.776  # Student's t of four degrees of freedom
TREES = 150
LIGHTGBM = {
    "objective": "binary",
    "learning_rate": 0.02,
    "num_leaves": 7,
    "min_data_in_leaf": 60,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 20,
    "max_bin": 63,
    "max_cat_threshold": 16,
    "cat_smooth": 50,
    "verbose": -1,
}


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of the real tables")
    parser.add_argument("--features", nargs="+", default=["jd_deepfm=embedded", "jd_rich=embedded"], metavar="SET=ENGINE")
    parser.add_argument("--seeds", type=int, default=1, help="models a fold, whose AUC is averaged")
    parser.add_argument("--extracted", nargs="*", default=[], metavar="SET=FILE", help="features.parquet of an earlier run")
    parser.add_argument("--only", choices=("deepfm", "lightgbm"))
    arguments = parser.parse_args()
    extracted = dict(item.split("=", 1) for item in arguments.extracted)
    figures: dict[str, Any] = {}
    for item in arguments.features:
        name, engine = item.split("=", 1)
        with tempfile.TemporaryDirectory() as work:
            run = Run(composed(name, engine, arguments.root), Path(work), Progress.silent())
            table = complete_rows(run, Path(extracted[name]) if name in extracted else None)
            for model, fit in (("deepfm", deepfm), ("lightgbm", lightgbm)):
                if arguments.only in (None, model):
                    folds = [
                        float(np.mean([fit(run, table, start, end, seed) for seed in range(1, arguments.seeds + 1)]))
                        for start, end in cuts(len(table))
                    ]
                    figures |= summary(f"{name} {model}", folds)
    common.report("folds", figures, arguments.json)


def composed(features: str, engine: str, root: Path) -> Config:
    """jd_deepfm with another feature set."""
    from hydra import compose, initialize_config_dir
    from hydra.core.config_store import ConfigStore

    from jdrec.composition import typed
    from jdrec.config import defaults
    from jdrec.paths import CONF

    ConfigStore.instance().store(name="schema_defaults", node=defaults())
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return typed(compose("config", ["+experiment=jd_deepfm", f"features={features}", f"engine={engine}", f"dataset.root={root}"]))


def complete_rows(run: Run, extracted: Path | None) -> pa.Table:
    """The features in time order of the requests whose label is complete."""
    from jdrec.dataset.observed import observed_until

    file = extracted or run.folder / "features.parquet"
    if extracted is None:
        extract_with(run.config.engine.name, run.feature_set, run.tables, file, config=run.config, progress=run.progress)
    table = pq.read_table(file).sort_by("request_time")
    label = run.feature_set.label
    last = observed_until(run.feature_set, run.tables)
    assert label is not None and label.horizon_ms is not None and last is not None
    return table.filter(pc.less_equal(table["request_time"].cast(pa.int64()), last - label.horizon_ms))


def cuts(rows: int) -> list[tuple[int, int]]:
    """Where the test block of each fold starts and ends."""
    ends = [rows * block // BLOCKS for block in range(BLOCKS + 1)]
    return list(itertools.pairwise(ends[1:]))


def deepfm(run: Run, table: pa.Table, start: int, end: int, seed: int) -> float:
    """Test AUC of jdrec's own encoding, network and training."""
    split = msgspec.structs.replace(run.config.preprocess.split, train=start * (1 - VALID_SHARE) / end, test=(end - start) / end)
    with tempfile.TemporaryDirectory() as work:
        features, samples = Path(work) / "features.parquet", Path(work) / "samples"
        pq.write_table(table.slice(0, end), features)
        settings = msgspec.structs.replace(run.config.preprocess, split=split)
        preprocess.run(run.feature_set, settings, features, samples, seed=seed, observed_until_ms=None, progress=run.progress)
        training.train(run.config.model, run.config.trainer, samples, Path(work) / "checkpoints", seed=seed)
        auc = training.evaluate(Path(work) / "checkpoints" / "best", samples, "test")["auc"]
    assert auc is not None
    return auc


def lightgbm(run: Run, table: pa.Table, start: int, end: int, seed: int) -> float:
    """Test AUC of gradient boosted trees on the features as they are, text as categories."""
    import lightgbm as lgb
    from sklearn.metrics import roc_auc_score

    label = run.feature_set.label
    assert label is not None
    fields = [field.name for field in run.feature_set.fields]
    columns = table.select(fields).to_pandas()
    for name in fields:
        if columns[name].dtype == object:
            columns[name] = columns[name].astype("category")
    labels = table[label.feature].to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trees = lgb.train({**LIGHTGBM, "seed": seed}, lgb.Dataset(columns[:start], labels[:start]), TREES)
        return float(roc_auc_score(labels[start:end], trees.predict(columns[start:end])))


def summary(name: str, folds: list[float]) -> dict[str, Any]:
    half = T_95 * float(np.std(folds, ddof=1)) / len(folds) ** 0.5
    return {
        f"{name} AUC, mean": round(float(np.mean(folds)), 4),
        f"{name} interval": [round(float(np.mean(folds)) - half, 4), round(float(np.mean(folds)) + half, 4)],
        f"{name} folds": [round(fold, 4) for fold in folds],
    }


if __name__ == "__main__":
    main()

"""AUC and logloss of every model over several seeds: `python bench/models.py --root DATA --json FILE --markdown FILE`.

A table for each experiment: jd_deepfm and jd_rich on the real tables (split by time), and jd_demo on generated tables, whose best possible AUC is known.
Features, encoding and split are made once an experiment; every model has the experiment's sizes, training and early stop. A seed
decides initial weights, dropout and the order of batches.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import common
import msgspec
import numpy as np

from jdrec import training
from jdrec.config import Config, EvaluateConfig

MODELS = {"lr": "LR", "fm": "FM", "wide_deep": "Wide & Deep", "deepfm": "DeepFM", "dcn_v2": "DCN-V2", "finalmlp": "FinalMLP"}
REAL, GENERATED = ("jd_deepfm", "jd_rich"), ("jd_demo",)
_POINT = EvaluateConfig(bootstrap=0)


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--root", type=Path, help="folder of the real tables; without it the generated ones alone")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--experiments", nargs="+", choices=REAL + GENERATED)
    parser.add_argument("--trainer", default="torch", choices=("oneflow", "torch"))
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there")
    arguments = parser.parse_args()
    wanted = arguments.experiments or ((REAL if arguments.root else ()) + GENERATED)
    figures: dict[str, Any] = {}
    tables = []
    for experiment in wanted:
        with tempfile.TemporaryDirectory() as work:
            config = composed(experiment, arguments.root if experiment in REAL else Path(work) / "tables", arguments.trainer)
            rows, best = measured(config, Path(work), arguments)
        figures |= {f"{experiment} {name} {key}": value for name, row in rows.items() for key, value in row.items()}
        figures[f"{experiment} best possible AUC"] = best
        tables.append(markdown(experiment, rows, best, arguments.seeds))
        if arguments.markdown:
            arguments.markdown.write_text("\n\n".join(tables) + "\n", encoding="utf-8")
    common.report("models", figures, arguments.json)


def composed(experiment: str, root: Path, trainer: str) -> Config:
    """The experiment's configuration."""
    from hydra import compose, initialize_config_dir
    from hydra.core.config_store import ConfigStore

    from jdrec.composition import typed
    from jdrec.config import defaults
    from jdrec.paths import CONF

    ConfigStore.instance().store(name="schema_defaults", node=defaults())
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return typed(compose("config", [f"+experiment={experiment}", f"dataset.root={root}", f"trainer={trainer}", "task=preprocess"]))


def measured(config: Config, work: Path, arguments: Any) -> tuple[dict[str, dict[str, Any]], float | None]:
    """Mean and spread (standard deviation) of each model, and the best possible AUC where it is known."""
    from jdrec import pipeline
    from jdrec.dataset.observed import best_possible_auc

    config = msgspec.structs.replace(config, cache=msgspec.structs.replace(config.cache, dir=str(work / "cache")))
    pipeline.run(config, work / "run")
    trainer = msgspec.structs.replace(config.trainer, threads=arguments.threads, resume=False)
    rows = {}
    for name in arguments.models:
        model = msgspec.structs.replace(config.model, name=name, cross_layers=2)
        found = []
        for seed in range(1, arguments.seeds + 1):
            with tempfile.TemporaryDirectory(dir=work) as out:
                report = training.train(model, trainer, work / "run" / "samples", Path(out), seed=seed)
                found.append(training.evaluate(report.checkpoint, work / "run" / "samples", "test", _POINT))
        rows[name] = {}
        for metric in ("auc", "logloss"):
            values = [metrics[metric] for metrics in found]
            rows[name] |= {metric: float(np.mean(values)), f"{metric} spread": float(np.std(values, ddof=min(1, len(values) - 1)))}
        print(config.features.request.table, name, rows[name], flush=True)
    return rows, best_possible_auc(config.dataset)


def markdown(experiment: str, rows: dict[str, dict[str, Any]], best: float | None, seeds: int) -> str:
    limit = f"; best possible AUC over all rows {best:.4f}" if best is not None else ""
    lines = [f"## {experiment}", "", f"Test split, mean and spread over {seeds} seeds{limit}.", ""]
    lines += ["| model | AUC | spread | logloss | spread |", "|---|---|---|---|---|"]
    top = max(row["auc"] for row in rows.values())
    for name, row in rows.items():
        auc = f"**{row['auc']:.4f}**" if row["auc"] == top else f"{row['auc']:.4f}"
        lines.append(f"| {MODELS[name]} | {auc} | {row['auc spread']:.4f} | {row['logloss']:.4f} | {row['logloss spread']:.4f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

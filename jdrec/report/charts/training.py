"""Charts of a training: losses and the validation AUC by epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence

from jdrec.report.charts.base import GUIDE, MUTED, SERIES, Chart, Row, Spec, colour, line, quantitative, tooltip

_DOT = 30  # square pixels
_EPOCH = quantitative("epoch", "epoch", scale={"zero": False, "nice": False}, axis={"format": ".4~r", "tickCount": 6, "labelOverlap": True})


def losses(history: Sequence[Row]) -> Chart:
    """Training and validation loss by epoch."""
    points = [{"epoch": e["epoch"], "split": "train", "loss": e["train_loss"]} for e in history]
    points += [{"epoch": e["epoch"], "split": "valid", "loss": e["logloss"]} for e in history]
    lowest = min(history, key=lambda e: e["logloss"])
    encoding = {
        "y": quantitative("loss", "logloss", scale={"zero": False}, axis={"tickCount": 5}),
        "color": colour(("train", "valid")),
        "tooltip": tooltip(("epoch", "epoch", ".2f"), "split", ("loss", "logloss", ".5f")),
    }
    return Chart(
        "losses",
        "Loss",
        f"Logloss by epoch: training from {history[0]['train_loss']:.4f} to {history[-1]['train_loss']:.4f}, "
        f"validation lowest at {lowest['logloss']:.4f} after epoch {lowest['epoch']:.1f}.",
        {"layer": [*_kept(history), line(points, {"x": _EPOCH, **encoding}, _DOT)]},
        note="Training loss is the mean over the batches since the evaluation before, with dropout.",
    )


def validation_auc(history: Sequence[Row]) -> Chart:
    """Validation AUC by epoch."""
    highest = max(history, key=lambda e: e["auc"])
    points = [{"epoch": e["epoch"], "auc": e["auc"], "rate": e["learning_rate"], **_ends(e, "auc")} for e in history]
    encoding = {
        "y": quantitative("auc", "AUC", scale={"zero": False}, axis={"tickCount": 5}),
        "tooltip": tooltip(
            ("epoch", "epoch", ".2f"),
            ("auc", "AUC", ".5f"),
            ("low", "95 % from", ".4f"),
            ("high", "95 % to", ".4f"),
            ("rate", "learning rate", ".2~e"),
        ),
    }
    return Chart(
        "validation-auc",
        "Validation AUC",
        f"Validation AUC by epoch, highest {highest['auc']:.4f} after epoch {highest['epoch']:.1f} of {history[-1]['epoch']:.1f}.",
        {"layer": [*_intervals(points), *_kept(history), line(points, {"x": _EPOCH, **encoding}, _DOT, color=SERIES[1])]},
        ("step", "epoch", "train loss", "valid logloss", "95 % interval", "valid AUC", "95 % interval", "learning rate", "seconds", "best"),
        [
            (f"{e['step']:,}", f"{e['epoch']:.2f}", f"{e['train_loss']:.5f}", *_measured(e, "logloss"), *_measured(e, "auc"), *_pace(e))
            for e in history
        ],
        note="The intervals are of one evaluation each. All evaluations see the same rows, so two of them differ by less chance than the intervals say.",
    )


def _ends(evaluation: Row, name: str) -> dict[str, float]:
    """low and high; nothing in a history of before there were intervals."""
    return dict(zip(("low", "high"), evaluation.get("interval", {}).get(name, ()), strict=False))


def _measured(evaluation: Row, name: str) -> tuple[str, str]:
    ends = _ends(evaluation, name)
    return f"{evaluation[name]:.5f}", f"{ends['low']:.4f} to {ends['high']:.4f}" if ends and not math.isnan(ends["low"]) else "–"


def _intervals(points: Sequence[Row]) -> list[Spec]:
    there = [point for point in points if "low" in point]
    encoding = {"x": _EPOCH, "y": quantitative("low", "AUC", scale={"zero": False}), "y2": {"field": "high"}}
    mark = {"type": "rule", "color": SERIES[1], "opacity": 0.45, "strokeWidth": 1.5}
    return [{"data": {"values": there}, "mark": mark, "encoding": encoding}] if there else []


def _pace(evaluation: Row) -> tuple[str, str, str]:
    return f"{evaluation['learning_rate']:.2e}", f"{evaluation['seconds']:.1f}", "best" if evaluation["best"] else ""


def _kept(history: Sequence[Row]) -> list[Spec]:
    """A line at the evaluation whose checkpoint was kept."""
    best = [evaluation for evaluation in history if evaluation["best"]][-1:]
    return [
        {
            "data": {"values": [{"epoch": evaluation["epoch"], "text": "kept"}]},
            "encoding": {"x": quantitative("epoch", "epoch")},
            "layer": [
                {"mark": {"type": "rule", "color": GUIDE, "strokeDash": [3, 3]}},
                {
                    "mark": {"type": "text", "align": "left", "dx": 5, "y": 8, "fontSize": 12, "color": MUTED},
                    "encoding": {"text": {"field": "text"}},
                },
            ],
        }
        for evaluation in best
    ]

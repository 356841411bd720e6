"""Charts of how good the scores are: ROC, precision and recall, calibration, distribution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jdrec.report.charts.base import GUIDE, SERIES, Chart, Row, Spec, colour, line, percent_axis, quantitative, tooltip


def roc(found: Mapping[str, Row], auc: Mapping[str, float | None]) -> Chart:
    """ROC curves of the splits."""
    points = [{"split": split, "order": k, **point} for split, about in found.items() for k, point in enumerate(about["roc"])]
    spoken = ", ".join(f"{split} AUC {auc[split]:.4f}" for split in found if auc.get(split) is not None)
    return Chart(
        "roc",
        "ROC",
        f"True positive rate against false positive rate: {spoken}.",
        {
            "layer": [
                _diagonal("fpr", "tpr"),
                line(
                    points,
                    {
                        "x": percent_axis("fpr", "false positive rate"),
                        "y": percent_axis("tpr", "true positive rate"),
                        "order": {"field": "order"},
                        "color": colour(list(found)),
                        "tooltip": tooltip("split", ("fpr", "false positive rate", ".2%"), ("tpr", "true positive rate", ".2%")),
                    },
                ),
            ]
        },
        height=280,
    )


def precision_recall(found: Mapping[str, Row], base_rate: Mapping[str, float]) -> Chart:
    """Precision-recall curves of the splits."""
    points = [{"split": split, "order": k, **point} for split, about in found.items() for k, point in enumerate(about["precision_recall"])]
    spoken = ", ".join(f"{split} {100 * base_rate[split]:.1f} %" for split in found)
    tops = [row for row in list(found.values())[-1]["top"] if row["share"] == 0.1]
    best = (
        f" The tenth with the highest scores holds {100 * tops[0]['recall']:.0f} % of the positives of {list(found)[-1]}." if tops else ""
    )
    return Chart(
        "precision-recall",
        "Precision and recall",
        f"Precision by recall; without a model precision is the share of positives: {spoken}.{best}",
        {
            "layer": [
                {
                    "data": {"values": [{"split": split, "rate": base_rate[split]} for split in found]},
                    "mark": {"type": "rule", "strokeDash": [3, 3]},
                    "encoding": {"y": quantitative("rate", "precision"), "color": colour(list(found))},
                },
                line(
                    points,
                    {
                        "x": percent_axis("recall", "recall"),
                        "y": percent_axis("precision", "precision", scale={"domain": [0, 1]}),
                        "order": {"field": "order"},
                        "color": colour(list(found)),
                        "tooltip": tooltip(
                            "split", ("recall", "recall", ".2%"), ("precision", "precision", ".2%"), ("threshold", "threshold", ".4f")
                        ),
                    },
                ),
            ]
        },
        height=280,
        note="Dashed: the share of positives, the precision of guessing.",
    )


def calibration(found: Mapping[str, Row]) -> Chart:
    """Observed against predicted share, by bins of equal size."""
    points = [{"split": split, **point} for split, about in found.items() for point in about["calibration"]]
    worst = max(points, key=lambda p: abs(p["predicted"] - p["observed"]))
    top = max(max(p["high"], p["predicted"]) for p in points)
    scale: Spec = {"domain": [0, min(1.0, 1.05 * top)], "nice": False}
    x = percent_axis("predicted", "mean predicted probability", scale=scale)
    shown = (("predicted", "predicted"), ("observed", "observed"), ("low", "95 % from"), ("high", "95 % to"))
    told = tooltip("split", *((name, title, ".2%") for name, title in shown), ("rows", "rows", ","))
    return Chart(
        "calibration",
        "Calibration",
        f"Observed share of positives by predicted probability; the largest gap is {100 * abs(worst['predicted'] - worst['observed']):.1f} points, "
        f"in {worst['split']} at {100 * worst['predicted']:.1f} % predicted.",
        {
            "layer": [
                _diagonal("predicted", "observed", scale["domain"][1]),
                {
                    "data": {"values": points},
                    "mark": {"type": "rule", "strokeWidth": 1.5, "opacity": 0.55},
                    "encoding": {
                        "x": x,
                        "y": quantitative("low", "observed share", scale=scale),
                        "y2": {"field": "high"},
                        "color": colour(list(found)),
                    },
                },
                line(
                    points,
                    {"x": x, "y": percent_axis("observed", "observed share", scale=scale), "color": colour(list(found)), "tooltip": told},
                    36,
                    strokeWidth=1.5,
                ),
            ]
        },
        ("split", "predicted", "observed", "95 % interval", "rows"),
        [
            (
                p["split"],
                f"{100 * p['predicted']:.2f} %",
                f"{100 * p['observed']:.2f} %",
                f"{100 * p['low']:.2f} to {100 * p['high']:.2f} %",
                f"{p['rows']:,}",
            )
            for p in points
        ],
        height=280,
        note="Bins of equally many rows; bars are 95 % intervals.",
    )


def scores(histogram: Sequence[Row], split: str, label: str) -> Chart:
    """Distribution of the scores by label."""
    named = {0: "negative", 1: "positive"}
    points = [dict(point, label=named[point["label"]]) for point in histogram]
    means = {}
    for name in named.values():
        means[name] = sum((p["start"] + p["end"]) / 2 * p["share"] for p in points if p["label"] == name)
    return Chart(
        "scores",
        f"Scores of the {split} split",
        f"Distribution of the predicted probability by {label}: on average {100 * means['negative']:.1f} % for negatives and {100 * means['positive']:.1f} % for positives.",
        {
            "data": {"values": points},
            "mark": {"type": "area", "interpolate": "step-after", "opacity": 0.45, "line": {"strokeWidth": 1.5}},
            "encoding": {
                "x": quantitative("start", "predicted probability", axis={"format": "~%"}, scale={"nice": False}),
                "y": quantitative("share", "share of its label's rows", axis={"format": "~%", "tickCount": 5}, stack=None),
                "color": {
                    "field": "label",
                    "title": None,
                    "scale": {"domain": list(named.values()), "range": [SERIES[3], SERIES[1]]},
                    "legend": {"symbolType": "square"},
                },
                "tooltip": tooltip("label", ("start", "from", ".2%"), ("end", "to", ".2%"), ("share", "share", ".2%")),
            },
        },
        height=280,
    )


def _diagonal(x: str, y: str, end: float = 1.0) -> Spec:
    return {
        "data": {"values": [{x: 0, y: 0}, {x: end, y: end}]},
        "mark": {"type": "line", "color": GUIDE, "strokeDash": [3, 3], "strokeWidth": 1},
        "encoding": {"x": quantitative(x, ""), "y": quantitative(y, "")},
    }

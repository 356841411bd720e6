"""The charts as Vega-Lite specifications. Colours are the page's CSS variables, so that light and dark need no second drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

Row = Mapping[str, Any]
Spec = dict[str, Any]

SERIES = tuple(f"var(--series-{number})" for number in range(1, 7))
_MUTED, _GUIDE = "var(--muted)", "var(--line-strong)"
CONFIG: Spec = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": _MUTED,
        "titleColor": _MUTED,
        "gridColor": "var(--line)",
        "domainColor": _GUIDE,
        "tickColor": _GUIDE,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "labelPadding": 6,
        "ticks": False,
        "domain": False,
    },
    "axisX": {"grid": False, "domain": True, "ticks": True, "tickSize": 4},
    "legend": {
        "labelColor": "var(--ink)",
        "titleColor": _MUTED,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "orient": "top",
        "symbolStrokeWidth": 2,
    },
    "header": {"labelColor": "var(--ink)", "titleColor": _MUTED, "labelFontSize": 12},
    "range": {"category": list(SERIES)},
    "line": {"strokeWidth": 2},
    "bar": {"cornerRadiusEnd": 2},
}


@dataclass(frozen=True)
class Chart:
    """A figure of the page.

    Attributes:
        summary: what it shows, in words and numbers, for who does not see it.
        head, rows: its data as a table; empty where the summary says it better.
        wide: whether it takes the whole width.
    """

    id: str
    title: str
    summary: str
    spec: Spec
    head: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    wide: bool = False
    note: str = ""
    height: int = field(default=220)

    @property
    def full_spec(self) -> Spec:
        """With what all charts share."""
        common = {
            "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
            "description": self.summary,
            "config": CONFIG,
        }
        fit = {"width": "container", "height": self.height, "autosize": {"type": "fit-x" if self.steps else "fit", "contains": "padding"}}
        return common | ({} if "vconcat" in self.spec else fit) | self.spec

    @property
    def steps(self) -> bool:
        """Whether its height comes from its rows."""
        return "step" in str(self.spec.get("height", ""))


def day(milliseconds: int) -> str:
    """2016-04-12, or with the hour where it is not midnight."""
    moment = datetime.fromtimestamp(milliseconds / 1000, timezone.utc)
    return moment.strftime("%Y-%m-%d" if not (moment.hour or moment.minute) else "%Y-%m-%d %H:%M")


def _quantitative(name: str, title: str, **more: Any) -> Spec:
    return {"field": name, "type": "quantitative", "title": title, **more}


def _moment(**more: Any) -> Spec:
    return {
        "field": "from",
        "type": "temporal",
        "title": None,
        "scale": {"type": "utc"},
        "axis": {"labelOverlap": True, "tickCount": 6},
        **more,
    }


def _colour(order: Sequence[str], title: str | None = None) -> Spec:
    return {
        "field": "split",
        "type": "nominal",
        "title": title,
        "sort": list(order),
        "scale": {"domain": list(order), "range": list(SERIES[: len(order)])},
    }


def _extent(pixels: int) -> Spec:
    """An axis as wide as its neighbours', so that charts stand in line."""
    return {"minExtent": pixels, "maxExtent": pixels}


_SPLITS = ("train", "valid", "test")
_SIDE, _WIDE_SIDE = 44, 130  # pixels of the y axes of charts above each other; usermeta.beside tells the page to leave them room


# --- data -------------------------------------------------------------------------------------------------------------------


def label_rate(timeline: Row) -> Chart:
    """Share of positive labels by time, and under it the rows."""
    points = [dict(point, rate=point["positives"] / point["rows"]) for point in timeline["points"]]
    there = [name for name in _SPLITS if any(point["split"] == name for point in points)]
    parts = []
    for name in there:
        rows, positives = (sum(point[key] for point in points if point["split"] == name) for key in ("rows", "positives"))
        parts.append(f"{name} {100 * positives / rows:.2f} % of {rows:,} rows")
    tooltip = [
        {"field": "from", "type": "temporal", "title": "from", "format": "%Y-%m-%d %H:%M"},
        {"field": "split", "type": "nominal"},
        _quantitative("rate", "label rate", format=".2%"),
        _quantitative("rows", "rows", format=","),
        _quantitative("positives", "positives", format=","),
    ]
    rate = {
        "height": 190,
        "mark": {"type": "line", "point": {"size": 22, "filled": True}, "strokeWidth": 1.5},
        "encoding": {
            "x": _moment(axis={"labels": False, "ticks": False, "domain": False}),
            "y": _quantitative("rate", "label rate", axis={"format": "~%", "tickCount": 4, **_extent(_SIDE)}, scale={"zero": True}),
            "color": _colour(there),
            "tooltip": tooltip,
        },
    }
    rows_ = {
        "height": 70,
        "mark": {"type": "bar", "width": {"band": 0.8}, "binSpacing": 1},
        "encoding": {
            "x": _moment(),
            "y": _quantitative("rows", "rows", axis={"tickCount": 2, "format": "~s", **_extent(_SIDE)}),
            "color": _colour(there),
            "tooltip": tooltip,
        },
    }
    return Chart(
        "label-rate",
        "Label rate and requests over time",
        f"Share of positive labels by time: {'; '.join(parts)}.",
        {"data": {"values": points}, "vconcat": [rate, rows_], "spacing": 8, "usermeta": {"beside": _SIDE + 24}},
        ("from", "split", "rows", "positives", "label rate"),
        [(day(p["from"]), p["split"], f"{p['rows']:,}", f"{p['positives']:,}", f"{100 * p['rate']:.2f} %") for p in points],
        wide=True,
    )


# --- training -----------------------------------------------------------------------------------------------------------------


def losses(history: Sequence[Row]) -> Chart:
    """Training and validation loss by epoch."""
    points = [{"epoch": e["epoch"], "split": "train", "loss": e["train_loss"]} for e in history]
    points += [{"epoch": e["epoch"], "split": "valid", "loss": e["logloss"]} for e in history]
    best = [e for e in history if e["best"]][-1:]
    lowest = min(history, key=lambda e: e["logloss"])
    return Chart(
        "losses",
        "Loss",
        f"Logloss by epoch: training from {history[0]['train_loss']:.4f} to {history[-1]['train_loss']:.4f}, "
        f"validation lowest at {lowest['logloss']:.4f} after epoch {lowest['epoch']:.1f}.",
        {
            "layer": [
                *_best_rule(best),
                {
                    "data": {"values": points},
                    "mark": {"type": "line", "point": {"size": 30, "filled": True}},
                    "encoding": {
                        "x": _quantitative("epoch", "epoch", scale={"zero": False, "nice": False}),
                        "y": _quantitative("loss", "logloss", scale={"zero": False}, axis={"tickCount": 5}),
                        "color": _colour(("train", "valid")),
                        "tooltip": [
                            _quantitative("epoch", "epoch", format=".2f"),
                            {"field": "split"},
                            _quantitative("loss", "logloss", format=".5f"),
                        ],
                    },
                },
            ]
        },
        note="Training loss is the mean over the batches since the evaluation before, with dropout.",
    )


def validation_auc(history: Sequence[Row]) -> Chart:
    """Validation AUC by epoch."""
    best = [e for e in history if e["best"]][-1:]
    highest = max(history, key=lambda e: e["auc"])
    points = [{"epoch": e["epoch"], "auc": e["auc"], "rate": e["learning_rate"]} for e in history]
    tooltip = [
        _quantitative("epoch", "epoch", format=".2f"),
        _quantitative("auc", "AUC", format=".5f"),
        _quantitative("rate", "learning rate", format=".2~e"),
    ]
    return Chart(
        "validation-auc",
        "Validation AUC",
        f"Validation AUC by epoch, highest {highest['auc']:.4f} after epoch {highest['epoch']:.1f} of {history[-1]['epoch']:.1f}.",
        {
            "layer": [
                *_best_rule(best),
                {
                    "data": {"values": points},
                    "mark": {"type": "line", "point": {"size": 30, "filled": True}, "color": SERIES[1]},
                    "encoding": {
                        "x": _quantitative("epoch", "epoch", scale={"zero": False, "nice": False}),
                        "y": _quantitative("auc", "AUC", scale={"zero": False}, axis={"tickCount": 5}),
                        "tooltip": tooltip,
                    },
                },
            ]
        },
        ("step", "epoch", "train loss", "valid logloss", "valid AUC", "learning rate", "seconds", "best"),
        [
            (f"{e['step']:,}", f"{e['epoch']:.2f}", *(f"{e[name]:.5f}" for name in ("train_loss", "logloss", "auc")), *_pace(e))
            for e in history
        ],
    )


def _pace(evaluation: Row) -> tuple[str, str, str]:
    return f"{evaluation['learning_rate']:.2e}", f"{evaluation['seconds']:.1f}", "best" if evaluation["best"] else ""


def _best_rule(best: Sequence[Row]) -> list[Spec]:
    return [
        {
            "data": {"values": [{"epoch": evaluation["epoch"], "text": "kept"}]},
            "encoding": {"x": _quantitative("epoch", "epoch")},
            "layer": [
                {"mark": {"type": "rule", "color": _GUIDE, "strokeDash": [3, 3]}},
                {
                    "mark": {"type": "text", "align": "left", "dx": 5, "y": 8, "fontSize": 12, "color": _MUTED},
                    "encoding": {"text": {"field": "text"}},
                },
            ],
        }
        for evaluation in best
    ]


# --- evaluation ---------------------------------------------------------------------------------------------------------------


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
                {
                    "data": {"values": points},
                    "mark": "line",
                    "encoding": {
                        "x": _quantitative("fpr", "false positive rate", axis={"format": "~%", "tickCount": 5}),
                        "y": _quantitative("tpr", "true positive rate", axis={"format": "~%", "tickCount": 5}),
                        "order": {"field": "order"},
                        "color": _colour(list(found)),
                        "tooltip": [
                            {"field": "split"},
                            _quantitative("fpr", "false positive rate", format=".2%"),
                            _quantitative("tpr", "true positive rate", format=".2%"),
                        ],
                    },
                },
            ]
        },
        height=280,
    )


def precision_recall(found: Mapping[str, Row], base_rate: Mapping[str, float]) -> Chart:
    """Precision-recall curves of the splits."""
    points = [{"split": split, "order": k, **point} for split, about in found.items() for k, point in enumerate(about["precision_recall"])]
    spoken = ", ".join(f"{split} {100 * base_rate[split]:.1f} %" for split in found)
    tops = [row for row in next(iter(reversed(found.values())))["top"] if row["share"] == 0.1]
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
                    "encoding": {"y": _quantitative("rate", "precision"), "color": _colour(list(found))},
                },
                {
                    "data": {"values": points},
                    "mark": "line",
                    "encoding": {
                        "x": _quantitative("recall", "recall", axis={"format": "~%", "tickCount": 5}),
                        "y": _quantitative("precision", "precision", axis={"format": "~%", "tickCount": 5}, scale={"domain": [0, 1]}),
                        "order": {"field": "order"},
                        "color": _colour(list(found)),
                        "tooltip": [
                            {"field": "split"},
                            _quantitative("recall", "recall", format=".2%"),
                            _quantitative("precision", "precision", format=".2%"),
                            _quantitative("threshold", "threshold", format=".4f"),
                        ],
                    },
                },
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
    scale = {"domain": [0, min(1.0, 1.05 * top)], "nice": False}
    x = _quantitative("predicted", "mean predicted probability", axis={"format": "~%", "tickCount": 5}, scale=scale)
    tooltip = [
        {"field": "split"},
        _quantitative("predicted", "predicted", format=".2%"),
        _quantitative("observed", "observed", format=".2%"),
        _quantitative("low", "95 % from", format=".2%"),
        _quantitative("high", "95 % to", format=".2%"),
        _quantitative("rows", "rows", format=","),
    ]
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
                        "y": _quantitative("low", "observed share", scale=scale),
                        "y2": {"field": "high"},
                        "color": _colour(list(found)),
                    },
                },
                {
                    "data": {"values": points},
                    "mark": {"type": "line", "point": {"size": 36, "filled": True}, "strokeWidth": 1.5},
                    "encoding": {
                        "x": x,
                        "y": _quantitative("observed", "observed share", axis={"format": "~%", "tickCount": 5}, scale=scale),
                        "color": _colour(list(found)),
                        "tooltip": tooltip,
                    },
                },
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
                "x": _quantitative("start", "predicted probability", axis={"format": "~%"}, scale={"nice": False}),
                "y": _quantitative("share", "share of its label's rows", axis={"format": "~%", "tickCount": 5}, stack=None),
                "color": {
                    "field": "label",
                    "title": None,
                    "scale": {"domain": list(named.values()), "range": [SERIES[3], SERIES[1]]},
                    "legend": {"symbolType": "square"},
                },
                "tooltip": [
                    {"field": "label"},
                    _quantitative("start", "from", format=".2%"),
                    _quantitative("end", "to", format=".2%"),
                    _quantitative("share", "share", format=".2%"),
                ],
            },
        },
        height=280,
    )


def auc_by_time(points: Sequence[Row]) -> Chart:
    """Test AUC by time with intervals."""
    there = [dict(point) for point in points if point["auc"] is not None]
    low, high = min(there, key=lambda p: p["auc"]), max(there, key=lambda p: p["auc"])
    return Chart(
        "auc-by-time",
        "Test AUC over time",
        f"Test AUC by time: between {low['auc']:.4f} (from {day(low['from'])}) and {high['auc']:.4f} (from {day(high['from'])}).",
        {"data": {"values": there}, **_dots({"x": _moment(), **_auc_channels("y")}, "y")},
        ("from", "AUC", "95 % interval", "rows", "positives"),
        [(day(p["from"]), f"{p['auc']:.4f}", f"{p['low']:.4f} to {p['high']:.4f}", f"{p['rows']:,}", f"{p['positives']:,}") for p in there],
        wide=True,
        height=200,
    )


def auc_by_group(groups: Mapping[str, Sequence[Row]]) -> Chart | None:
    """Test AUC by the values of some features; None where no value has both labels."""
    there = [{"group": name, **point} for name, points in groups.items() for point in points if point["auc"] is not None]
    if not there:
        return None
    shown = [name for name in groups if any(p["group"] == name for p in there)]
    low, high = min(there, key=lambda p: p["auc"]), max(there, key=lambda p: p["auc"])
    y = {"field": "value", "type": "nominal", "title": None, "sort": None, "axis": {"labelLimit": _WIDE_SIDE - 10, **_extent(_WIDE_SIDE)}}
    panels = [
        {
            "title": {"text": name, "anchor": "start", "color": "var(--ink)", "fontSize": 12, "fontWeight": 600, "offset": 6},
            "height": {"step": 22},
            "transform": [{"filter": {"field": "group", "equal": name}}],
            **_dots({"y": y, **_auc_channels("x", name != shown[-1])}, "x"),
        }
        for name in shown
    ]
    return Chart(
        "auc-by-group",
        "Test AUC by group",
        f"Test AUC by the values of {', '.join(shown)}: lowest {low['auc']:.4f} ({low['group']} {low['value']}, {low['rows']:,} rows), "
        f"highest {high['auc']:.4f} ({high['group']} {high['value']}, {high['rows']:,} rows).",
        {
            "data": {"values": there},
            "vconcat": panels,
            "spacing": 14,
            "resolve": {"scale": {"x": "shared"}},
            "usermeta": {"beside": _WIDE_SIDE + 24},
        },
        ("feature", "value", "AUC", "95 % interval", "rows", "positives"),
        [
            (p["group"], p["value"], f"{p['auc']:.4f}", f"{p['low']:.4f} to {p['high']:.4f}", f"{p['rows']:,}", f"{p['positives']:,}")
            for p in there
        ],
        wide=True,
    )


def _auc_channels(axis: str, bare: bool = False) -> Spec:
    title = None if bare else "AUC"
    return {
        axis: _quantitative(
            "auc",
            title,
            scale={"zero": False, "nice": True},
            axis={"tickCount": 5, "grid": True, "format": ".2f", **({"labels": False} if bare else {})},
        ),  # type: ignore[arg-type]
        "tooltip": [
            _quantitative("auc", "AUC", format=".4f"),
            _quantitative("low", "95 % from", format=".4f"),
            _quantitative("high", "95 % to", format=".4f"),
            _quantitative("rows", "rows", format=","),
            _quantitative("positives", "positives", format=","),
        ],
    }


def _dots(encoding: Spec, axis: str) -> Spec:
    """Points with their intervals along an axis."""
    interval = {axis: {**encoding[axis], "field": "low"}, f"{axis}2": {"field": "high"}}
    return {
        "encoding": {name: value for name, value in encoding.items() if name != axis},
        "layer": [
            {"mark": {"type": "rule", "color": SERIES[0], "opacity": 0.55, "strokeWidth": 1.5}, "encoding": interval},
            {"mark": {"type": "point", "filled": True, "size": 42, "color": SERIES[0], "opacity": 1}, "encoding": {axis: encoding[axis]}},
        ],
    }


def _diagonal(x: str, y: str, end: float = 1.0) -> Spec:
    return {
        "data": {"values": [{x: 0, y: 0}, {x: end, y: end}]},
        "mark": {"type": "line", "color": _GUIDE, "strokeDash": [3, 3], "strokeWidth": 1},
        "encoding": {"x": _quantitative(x, ""), "y": _quantitative(y, "")},
    }


# --- features -------------------------------------------------------------------------------------------------------------------


def importance(found: Row, most: int = 25) -> Chart:
    """What permuting each feature costs."""
    rows = sorted(found["features"], key=lambda row: -row["mean"])[:most]
    metric, split = {"auc": "AUC", "logloss": "logloss"}[found["metric"]], found["split"]
    names = [row["name"] for row in rows]
    x = _quantitative(
        "mean", f"{'loss of AUC' if metric == 'AUC' else 'rise of logloss'} when permuted", axis={"tickCount": 5, "grid": True}
    )
    tooltip = [
        {"field": "name", "title": "feature"},
        _quantitative("mean", "mean", format=".5f"),
        _quantitative("low", "from", format=".5f"),
        _quantitative("high", "to", format=".5f"),
    ]
    y = {"field": "name", "type": "nominal", "title": None, "sort": names, "axis": {"labelLimit": 220}}
    return Chart(
        "importance",
        "Permutation importance",
        f"How much {metric} on {found['rows']:,} {split} rows suffers when one feature is permuted, mean of {found['repeats']} permutations: "
        + ", ".join(f"{row['name']} {row['mean']:.4f}" for row in rows[:3])
        + ".",
        {
            "data": {"values": rows},
            "height": {"step": 19},
            "encoding": {"y": y, "tooltip": tooltip},
            "layer": [
                {"mark": {"type": "bar", "color": SERIES[0], "opacity": 0.85}, "encoding": {"x": x}},
                {
                    "mark": {"type": "rule", "color": "var(--ink)", "strokeWidth": 1.5},
                    "encoding": {"x": {**x, "field": "low"}, "x2": {"field": "high"}},
                },
            ],
        },
        ("feature", "mean", f"{100 * found['confidence']:g} % interval"),
        [(row["name"], f"{row['mean']:.5f}", f"{row['low']:.5f} to {row['high']:.5f}") for row in rows],
        wide=True,
        note=f"Lines are {100 * found['confidence']:g} % intervals of the mean over the permutations. Features that say the same share their importance.",
    )

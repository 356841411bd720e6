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
        fit = {"width": "container", "height": self.height, "autosize": {"type": "fit", "contains": "padding"}}
        return common | ({} if "vconcat" in self.spec else fit) | self.spec


def moment(milliseconds: int) -> str:
    """2016-04-12, or with the hour where it is not midnight."""
    at = datetime.fromtimestamp(milliseconds / 1000, timezone.utc)
    return at.strftime("%Y-%m-%d" if not (at.hour or at.minute) else "%Y-%m-%d %H:%M")


def _quantitative(name: str, title: str, **more: Any) -> Spec:
    return {"field": name, "type": "quantitative", "title": title, **more}


def _moment(name: str, **more: Any) -> Spec:
    axis = {"labelOverlap": True, "tickCount": 7, "format": "%b %-d", "grid": False}
    return {"field": name, "type": "temporal", "title": None, "scale": {"type": "utc", "padding": 12}, "axis": axis} | more


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
_X_AXIS = 50  # pixels that an axis with its title takes below
_SIDE = 44  # pixels of the y axes of charts above each other; usermeta.beside tells the page to leave them room
_THIN = 0.25  # of the usual rows; rates of fewer jump about


# --- data -------------------------------------------------------------------------------------------------------------------


def label_rate(timeline: Row) -> Chart:
    """Share of positive labels by time, and under it the rows."""
    step = timeline["step_ms"]
    points = [dict(p, rate=p["positives"] / p["rows"], to=p["from"] + step, middle=p["from"] + step / 2) for p in timeline["points"]]
    there = [name for name in _SPLITS if any(point["split"] == name for point in points)]
    heights: dict[int, int] = {}
    for point in points:  # where two splits share a slot, one stands on the other
        below = heights.get(point["from"], 0)
        heights[point["from"]] = below + point["rows"]
        point |= {"below": below, "above": heights[point["from"]]}
    parts = []
    for name in there:
        rows, positives = (sum(point[key] for point in points if point["split"] == name) for key in ("rows", "positives"))
        parts.append(f"{name} {100 * positives / rows:.2f} % of {rows:,} rows")
    usual = sorted(point["rows"] for point in points)[len(points) // 2]
    tooltip = [
        {"field": "from", "type": "temporal", "title": "from", "format": "%Y-%m-%d %H:%M"},
        {"field": "split", "type": "nominal"},
        _quantitative("rate", "label rate", format=".2%"),
        _quantitative("rows", "rows", format=","),
        _quantitative("positives", "positives", format=","),
    ]
    rate = {
        "height": 190,
        "transform": [{"filter": f"datum.rows >= {_THIN * usual:g}"}],
        "mark": {"type": "line", "point": {"size": 26, "filled": True}, "strokeWidth": 1.5},
        "encoding": {
            "x": _moment("middle", axis={"labels": False, "ticks": False, "domain": False}),
            "y": _quantitative("rate", "label rate", axis={"format": "~%", "tickCount": 4, **_extent(_SIDE)}, scale={"zero": True}),
            "color": _colour(there),
            "tooltip": tooltip,
        },
    }
    rows_ = {
        "height": 70,
        "mark": {"type": "rect", "stroke": "var(--surface)", "strokeWidth": 0.5, "opacity": 0.75},
        "encoding": {
            "x": _moment("from"),
            "x2": {"field": "to"},
            "y": _quantitative("below", "rows", axis={"tickCount": 2, "format": "~s", **_extent(_SIDE)}),
            "y2": {"field": "above"},
            "color": _colour(there),
            "tooltip": tooltip,
        },
    }
    return Chart(
        "label-rate",
        "Label rate and requests over time",
        f"Share of positive labels by time: {'; '.join(parts)}.",
        {
            "data": {"values": points},
            "vconcat": [rate, rows_],
            "spacing": 8,
            "usermeta": {"beside": _SIDE + 24},
            "resolve": {"scale": {"x": "shared"}},
        },
        ("from", "split", "rows", "positives", "label rate"),
        [(moment(p["from"]), p["split"], f"{p['rows']:,}", f"{p['positives']:,}", f"{100 * p['rate']:.2f} %") for p in points],
        wide=True,
        note=f"Points with less than {100 * _THIN:g} % of the usual rows are in the data only."
        if any(p["rows"] < _THIN * usual for p in points)
        else "",
    )


# --- training -----------------------------------------------------------------------------------------------------------------


_EPOCH = _quantitative("epoch", "epoch", scale={"zero": False, "nice": False}, axis={"format": "~g", "tickCount": 6, "labelOverlap": True})


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
                        "x": _EPOCH,
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
                    "mark": {"type": "line", "point": {"size": 30, "filled": True, "color": SERIES[1]}, "color": SERIES[1]},
                    "encoding": {
                        "x": _EPOCH,
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
    scale: Spec = {"domain": [0, min(1.0, 1.05 * top)], "nice": False}
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
        f"Test AUC by time: between {low['auc']:.4f} (from {moment(low['from'])}) and {high['auc']:.4f} (from {moment(high['from'])}).",
        {"data": {"values": there}, **_dots({"x": _moment("from"), **_auc_channels("y")}, "y")},
        ("from", "AUC", "95 % interval", "rows", "positives"),
        [
            (moment(p["from"]), f"{p['auc']:.4f}", f"{p['low']:.4f} to {p['high']:.4f}", f"{p['rows']:,}", f"{p['positives']:,}")
            for p in there
        ],
        wide=True,
        height=200,
    )


def auc_by_group(groups: Mapping[str, Sequence[Row]]) -> list[Chart]:
    """Test AUC by the values of features, a chart each, all to the same scale; those without two values to compare are left out."""
    there = {name: [point for point in points if point["auc"] is not None] for name, points in groups.items()}
    there = {name: points for name, points in there.items() if len(points) > 1}
    every = [point for points in there.values() for point in points]
    scale = {"domain": [min((p["low"] for p in every), default=0), max((p["high"] for p in every), default=1)], "nice": True}
    return [_auc_by_values(name, points, scale) for name, points in there.items()]


def _auc_by_values(name: str, points: Sequence[Row], scale: Spec) -> Chart:
    low, high = min(points, key=lambda p: p["auc"]), max(points, key=lambda p: p["auc"])
    y = {"field": "value", "type": "nominal", "title": None, "sort": None, "axis": {"labelLimit": 110}}
    return Chart(
        f"auc-by-{name}",
        f"Test AUC by {name}",
        f"Test AUC by {name}: lowest {low['auc']:.4f} ({low['value']}, {low['rows']:,} rows), highest {high['auc']:.4f} ({high['value']}, {high['rows']:,} rows).",
        {"data": {"values": list(points)}, **_dots({"y": y, **_auc_channels("x", scale)}, "x")},
        ("value", "AUC", "95 % interval", "rows", "positives"),
        [(p["value"], f"{p['auc']:.4f}", f"{p['low']:.4f} to {p['high']:.4f}", f"{p['rows']:,}", f"{p['positives']:,}") for p in points],
        height=24 * len(points) + _X_AXIS,
    )


def _auc_channels(axis: str, scale: Spec | None = None) -> Spec:
    return {
        axis: _quantitative(
            "auc", "AUC", scale=scale or {"zero": False, "nice": True}, axis={"tickCount": 5, "grid": True, "format": ".2f"}
        ),
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
        height=20 * len(rows) + _X_AXIS,
        note=f"Lines are {100 * found['confidence']:g} % intervals of the mean over the permutations. Features that say the same share their importance.",
    )

"""Charts of parts of the test split: AUC by time, and by the values of features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jdrec.report.charts.base import SERIES, X_AXIS, Chart, Row, Spec, moment, quantitative, time_axis, tooltip


def auc_by_time(points: Sequence[Row]) -> Chart:
    """Test AUC by time with intervals."""
    there = [dict(point) for point in points if point["auc"] is not None]
    low, high = min(there, key=lambda p: p["auc"]), max(there, key=lambda p: p["auc"])
    return Chart(
        "auc-by-time",
        "Test AUC over time",
        f"Test AUC by time: between {low['auc']:.4f} (from {moment(low['from'])}) and {high['auc']:.4f} (from {moment(high['from'])}).",
        {"data": {"values": there}, **_dots({"x": time_axis("from"), **_auc_channels("y")}, "y")},
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
        height=24 * len(points) + X_AXIS,
    )


def _auc_channels(axis: str, scale: Spec | None = None) -> Spec:
    return {
        axis: quantitative(
            "auc", "AUC", scale=scale or {"zero": False, "nice": True}, axis={"tickCount": 5, "grid": True, "format": ".2f"}
        ),
        "tooltip": tooltip(
            ("auc", "AUC", ".4f"),
            ("low", "95 % from", ".4f"),
            ("high", "95 % to", ".4f"),
            ("rows", "rows", ","),
            ("positives", "positives", ","),
        ),
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

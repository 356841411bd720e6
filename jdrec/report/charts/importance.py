"""The chart of permutation importance."""

from __future__ import annotations

from jdrec.report.charts.base import SERIES, X_AXIS, Chart, Row, quantitative, tooltip


def importance(found: Row, most: int = 25) -> Chart:
    """What permuting each feature costs."""
    rows = sorted(found["features"], key=lambda row: -row["mean"])[:most]
    metric, split = {"auc": "AUC", "logloss": "logloss"}[found["metric"]], found["split"]
    names = [row["name"] for row in rows]
    x = quantitative(
        "mean", f"{'loss of AUC' if metric == 'AUC' else 'rise of logloss'} when permuted", axis={"tickCount": 5, "grid": True}
    )
    shown = [{"field": "name", "title": "feature"}, *tooltip(("mean", "mean", ".5f"), ("low", "from", ".5f"), ("high", "to", ".5f"))]
    y = {"field": "name", "type": "nominal", "title": None, "sort": names, "axis": {"labelLimit": 220}}
    return Chart(
        "importance",
        "Permutation importance",
        f"How much {metric} on {found['rows']:,} {split} rows suffers when one feature is permuted, mean of {found['repeats']} permutations: "
        + ", ".join(f"{row['name']} {row['mean']:.4f}" for row in rows[:3])
        + ".",
        {
            "data": {"values": rows},
            "encoding": {"y": y, "tooltip": shown},
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
        height=20 * len(rows) + X_AXIS,
        note=f"Lines are {100 * found['confidence']:g} % intervals of the mean over the permutations. Features that say the same share their importance.",
    )

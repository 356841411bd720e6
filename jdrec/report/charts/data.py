"""Charts of the data: labels and requests over time."""

from __future__ import annotations

from jdrec.report.charts.base import Chart, Row, Spec, colour, moment, quantitative, time_axis, tooltip

_SPLITS = ("train", "valid", "test")
_SIDE = 44  # pixels of the y axes of charts above each other; usermeta.beside tells the page to leave them room
_THIN = 0.25  # of the usual rows; rates of fewer jump about


def _extent(pixels: int) -> Spec:
    """An axis as wide as its neighbours', so that charts stand in line."""
    return {"minExtent": pixels, "maxExtent": pixels}


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
    shown = [
        {"field": "from", "type": "temporal", "title": "from", "format": "%Y-%m-%d %H:%M"},
        *tooltip("split", ("rate", "label rate", ".2%"), ("rows", "rows", ","), ("positives", "positives", ",")),
    ]
    rate = {
        "height": 190,
        "transform": [{"filter": f"datum.rows >= {_THIN * usual:g}"}],
        "mark": {"type": "line", "point": {"size": 26, "filled": True}, "strokeWidth": 1.5},
        "encoding": {
            "x": time_axis("middle", axis={"labels": False, "ticks": False, "domain": False}),
            "y": quantitative("rate", "label rate", axis={"format": "~%", "tickCount": 4, **_extent(_SIDE)}, scale={"zero": True}),
            "color": colour(there),
            "tooltip": shown,
        },
    }
    rows_ = {
        "height": 70,
        "mark": {"type": "rect", "stroke": "var(--surface)", "strokeWidth": 0.5, "opacity": 0.75},
        "encoding": {
            "x": time_axis("from"),
            "x2": {"field": "to"},
            "y": quantitative("below", "rows", axis={"tickCount": 2, "format": "~s", **_extent(_SIDE)}),
            "y2": {"field": "above"},
            "color": colour(there),
            "tooltip": shown,
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

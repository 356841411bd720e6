"""The charts of a sweep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jdrec.report.charts.base import SERIES, Chart, Spec

if TYPE_CHECKING:
    from jdrec.sweep.configurations import Configuration
    from jdrec.sweep.jobs import Job

_METRICS = (("valid.auc", "valid AUC"), ("test.auc", "test AUC"))
_CLASSES = ("best quarter", "better half", "lower half")
_MOST_VALUES = 40


def parameters(found: Sequence[Configuration]) -> list[str]:
    """The keys that differ between configurations, in the order of the overrides."""
    return list(dict.fromkeys(item.partition("=")[0].lstrip("+") for c in found for item in c.overrides))


def parallel_coordinates(jobs: Sequence[Job], names: Sequence[str]) -> Chart:
    """A line a job through its parameters to its metrics."""
    done = [job for job in jobs if job.value is not None]
    columns: list[tuple[str, list[Any]]] = [(name, [_value(job.setting(name)) for job in done]) for name in names]
    columns += [
        (title, [job.metrics.get(metric) for job in done]) for metric, title in _METRICS if all(metric in job.metrics for job in done)
    ]
    ranks = np.argsort(np.argsort([-(job.value or 0.0) for job in done], kind="stable"), kind="stable") / len(done)
    classes = [_CLASSES[0] if rank < 0.25 else _CLASSES[1] if rank < 0.5 else _CLASSES[2] for rank in ranks]
    lines: list[dict[str, Any]] = []
    labels: list[dict[str, Any]] = []
    for axis, values in columns:
        places, ticks = _axis(values)
        labels += [{"axis": axis, "place": place, "label": label} for place, label in ticks]
        lines += [
            {"axis": axis, "place": place, "job": job.folder.name, "value": _said(value), "auc": job.value, "class": class_}
            for job, place, value, class_ in zip(done, places, values, classes, strict=True)
        ]
    order = [axis for axis, _ in columns]
    x = {
        "field": "axis",
        "type": "nominal",
        "sort": order,
        "title": None,
        "axis": {"labelAngle": 0, "orient": "top", "labelColor": "var(--ink)"},
    }
    x |= {"scale": {"type": "point", "padding": 0.35}}
    y = {"field": "place", "type": "quantitative", "axis": None, "scale": {"domain": [-0.04, 1.04]}}
    best = max(done, key=lambda job: job.value or 0.0)
    return Chart(
        "parallel",
        "All jobs",
        f"Parallel coordinates of {len(done)} jobs over {', '.join(order)}; the best is job {best.folder.name} with a validation AUC of {best.value:.4f}.",
        {
            "layer": [
                {"data": {"values": labels}, "mark": {"type": "rule", "color": "var(--line-strong)"}, "encoding": {"x": x}},
                {
                    "data": {"values": lines},
                    "params": [
                        {
                            "name": "over",
                            "select": {"type": "point", "on": "pointerover", "clear": "pointerout", "fields": ["job"]},
                        }
                    ],
                    "mark": {"type": "line", "strokeJoin": "round", "point": {"size": 30, "filled": True}},
                    "encoding": {
                        "x": x,
                        "y": y,
                        "detail": {"field": "job"},
                        "color": {
                            "field": "class",
                            "type": "nominal",
                            "title": None,
                            "scale": {"domain": list(_CLASSES), "range": [SERIES[1], SERIES[0], SERIES[3]]},
                        },
                        "opacity": {"condition": {"param": "over", "value": 0.85}, "value": 0.12},
                        "tooltip": [
                            {"field": "job"},
                            {"field": "axis", "title": "of"},
                            {"field": "value"},
                            {"field": "auc", "title": "valid AUC", "type": "quantitative", "format": ".4f"},
                        ],
                    },
                },
                *(_labels(labels, x, y, halo) for halo in (True, False)),
            ]
        },
        ("job", *order),
        [(job.folder.name, *(_said(values[number]) for _, values in columns)) for number, job in enumerate(done)],
        wide=True,
        height=380,
    )


def _labels(labels: Sequence[dict[str, Any]], x: Spec, y: Spec, halo: bool) -> Spec:
    """Texts beside the axes, and under them the same as a ground that keeps lines off them."""
    mark: Spec = {"type": "text", "align": "left", "dx": 7, "fontSize": 12, "color": "var(--muted)", "limit": 150}
    if halo:
        mark |= {"stroke": "var(--surface)", "strokeWidth": 4, "strokeJoin": "round", "aria": False}
    return {"data": {"values": labels}, "mark": mark, "encoding": {"x": x, "y": y, "text": {"field": "label"}}}


def effect(name: str, jobs: Sequence[Job], found: Sequence[Configuration]) -> Chart:
    """Validation AUC by the values of one parameter: a point a job, a tick for the mean."""
    points = [{"value": _value(job.setting(name)), "auc": job.value, "job": job.folder.name} for job in jobs if job.value is not None]
    texts = sorted({_said(point["value"]) for point in points}, key=lambda text: (_number(text) is None, _number(text) or 0.0, text))
    for point in points:
        point["text"] = _said(point["value"])
    means: list[dict[str, Any]] = []
    for text in texts:
        values = [point["auc"] for point in points if point["text"] == text]
        means.append({"text": text, "auc": float(np.mean(values)), "jobs": len(values)})
    best = max(means, key=lambda mean: mean["auc"])
    numeric = all(_number(text) is not None for text in texts) and len(texts) > 4
    said = f"Validation AUC by {name}: best on average {best['auc']:.4f} at {best['text']}, over {len(texts)} values."
    rows = [(mean["text"], f"{mean['auc']:.4f}", str(mean["jobs"])) for mean in means]
    if numeric:
        return _scatter(name, points, said, rows)
    if len(texts) > 8:  # a feature study: names need room, and the order is the answer
        means.sort(key=lambda mean: -mean["auc"])
        means = means[:_MOST_VALUES]
    order = [str(mean["text"]) for mean in means]
    long = len(order) > 8 or max(map(len, order)) > 14
    nominal = {"field": "text", "type": "nominal", "sort": order, "title": None, "axis": {"labelLimit": 260, "labelAngle": 0}}
    auc = {"field": "auc", "type": "quantitative", "title": "valid AUC", "scale": {"zero": False}, "axis": {"tickCount": 5, "grid": True}}
    where, along = ("y", "x") if long else ("x", "y")
    tooltip = [{"field": "job"}, {"field": "text", "title": name}, {"field": "auc", "title": "valid AUC", "format": ".5f"}]
    spec: Spec = {
        "layer": [
            {
                "data": {"values": [point for point in points if point["text"] in order]},
                "mark": {"type": "point", "filled": True, "size": 46, "opacity": 0.6, "color": SERIES[0]},
                "encoding": {where: nominal, along: auc, "tooltip": tooltip},
            },
            {
                "data": {"values": means},
                "mark": {"type": "tick", "thickness": 2, "size": 18 if long else 34, "color": SERIES[1]},
                "encoding": {
                    where: nominal,
                    along: auc,
                    "tooltip": [{"field": "text", "title": name}, {"field": "auc", "title": "mean", "format": ".5f"}],
                },
            },
        ]
    }
    if along == "x":
        spec["layer"].insert(0, _baseline(means))
    height = 22 * len(order) + 50 if long else 240
    return Chart(
        _id(name),
        name,
        said,
        spec,
        (name, "mean valid AUC", "jobs"),
        rows,
        wide=long,
        height=height,
        note="A point a job; the tick is the mean.",
    )


def _baseline(means: Sequence[dict[str, Any]]) -> Spec:
    """Where the jobs stand that leave the parameter as it is: nothing dropped, nothing added."""
    plain = [mean for mean in means if mean["text"] in ("[]", "–")]
    return {
        "data": {"values": plain},
        "mark": {"type": "rule", "color": "var(--line-strong)", "strokeDash": [3, 3]},
        "encoding": {"x": {"field": "auc", "type": "quantitative"}},
    }


def _scatter(name: str, points: Sequence[dict[str, Any]], said: str, rows: Sequence[Sequence[Any]]) -> Chart:
    numbers = [float(point["value"]) for point in points]
    logarithmic = min(numbers) > 0 and max(numbers) / min(numbers) > 20
    x = {"field": "value", "type": "quantitative", "title": name, "scale": {"zero": False, "type": "log" if logarithmic else "linear"}}
    tooltip = [{"field": "job"}, {"field": "value", "title": name}, {"field": "auc", "title": "valid AUC", "format": ".5f"}]
    spec = {
        "data": {"values": list(points)},
        "mark": {"type": "point", "filled": True, "size": 50, "opacity": 0.75, "color": SERIES[0]},
        "encoding": {
            "x": x | {"axis": {"format": ".4~r", "tickCount": 5, "labelOverlap": True}},
            "y": {"field": "auc", "type": "quantitative", "title": "valid AUC", "scale": {"zero": False}, "axis": {"tickCount": 5}},
            "tooltip": tooltip,
        },
    }
    return Chart(_id(name), name, said, spec, (name, "mean valid AUC", "jobs"), rows, height=240, note="A point a job.")


def _axis(values: Sequence[Any]) -> tuple[list[float], list[tuple[float, str]]]:
    """The place of each value between 0 and 1, and the labels of the axis."""
    if all(isinstance(value, int | float) for value in values) and len(set(values)) > 1:
        numbers = np.array(values, float)
        scale = np.log(numbers) if numbers.min() > 0 and numbers.max() / numbers.min() > 20 else numbers
        places = (scale - scale.min()) / (scale.max() - scale.min())
        few = sorted(set(values)) if len(set(values)) <= 6 else [min(values), max(values)]
        return places.tolist(), [(float(places[list(values).index(value)]), _said(value)) for value in few]
    names = sorted({_said(value) for value in values})
    place = {name: (0.5 if len(names) == 1 else number / (len(names) - 1)) for number, name in enumerate(names)}
    shown = names if len(names) <= 12 else []
    return [place[_said(value)] for value in values], [(place[name], name) for name in shown]


def _value(text: str | None) -> Any:
    """An override's value: a number where it is one."""
    number = _number(text) if text is not None else None
    return text if number is None else number


def _number(text: str) -> float | int | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return None if not math.isfinite(number) else int(number) if number.is_integer() and "e" not in text and "." not in text else number


def _said(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _id(name: str) -> str:
    return "effect-" + "".join(letter if letter.isalnum() else "-" for letter in name)

"""What all charts share: the look, the frame of a figure, and pieces of Vega-Lite that several of them need.

Colours are the page's CSS variables, so that light and dark need no second drawing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

Row = Mapping[str, Any]
Spec = dict[str, Any]

SERIES = tuple(f"var(--series-{number})" for number in range(1, 7))
MUTED, GUIDE = "var(--muted)", "var(--line-strong)"
X_AXIS = 50  # pixels that an axis with its title takes below
CONFIG: Spec = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": MUTED,
        "titleColor": MUTED,
        "gridColor": "var(--line)",
        "domainColor": GUIDE,
        "tickColor": GUIDE,
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
        "titleColor": MUTED,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "orient": "top",
        "symbolStrokeWidth": 2,
    },
    "header": {"labelColor": "var(--ink)", "titleColor": MUTED, "labelFontSize": 12},
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
        """With what all charts share; what is not defined is None, for JSON has no NaN."""
        common = {
            "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
            "description": self.summary,
            "config": CONFIG,
        }
        fit = {"width": "container", "height": self.height, "autosize": {"type": "fit", "contains": "padding"}}
        return _defined(common | ({} if "vconcat" in self.spec else fit) | self.spec)


def _defined(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _defined(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_defined(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def moment(milliseconds: int) -> str:
    """2016-04-12, or with the hour where it is not midnight."""
    at = datetime.fromtimestamp(milliseconds / 1000, timezone.utc)
    return at.strftime("%Y-%m-%d" if not (at.hour or at.minute) else "%Y-%m-%d %H:%M")


def quantitative(name: str, title: str, **more: Any) -> Spec:
    return {"field": name, "type": "quantitative", "title": title, **more}


def time_axis(name: str, **more: Any) -> Spec:
    axis = {"labelOverlap": True, "tickCount": 7, "format": "%b %-d", "grid": False}
    return {"field": name, "type": "temporal", "title": None, "scale": {"type": "utc", "padding": 12}, "axis": axis} | more


def percent_axis(name: str, title: str, **more: Any) -> Spec:
    """A channel of shares, 0 to 1, written in percent."""
    return quantitative(name, title, axis={"format": "~%", "tickCount": 5}, **more)


def tooltip(*parts: str | tuple[str, str, str]) -> list[Spec]:
    """What hovering shows: names of fields, or (field, title, format) of numbers."""
    return [{"field": part} if isinstance(part, str) else quantitative(part[0], part[1], format=part[2]) for part in parts]


def line(points: Sequence[Row], encoding: Spec, point: int | None = None, **mark: Any) -> Spec:
    """A layer of lines, with dots of so many square pixels where `point` says."""
    colour_ = {"color": mark["color"]} if "color" in mark else {}
    dots = {"point": {"size": point, "filled": True, **colour_}} if point else {}
    return {"data": {"values": points}, "mark": {"type": "line", **dots, **mark}, "encoding": encoding}


def colour(order: Sequence[str], field: str = "split", title: str | None = None) -> Spec:
    return {
        "field": field,
        "type": "nominal",
        "title": title,
        "sort": list(order),
        "scale": {"domain": list(order), "range": list(SERIES[: len(order)])},
    }

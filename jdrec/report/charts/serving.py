"""The chart of measured latency."""

from __future__ import annotations

from collections.abc import Sequence

from jdrec.report.charts.base import Chart, Row, colour, line, percent_axis, quantitative, tooltip


def latency(found: Sequence[Row]) -> Chart:
    """Share of calls that were answered within a time, a line for each path; see `report.latency.measured`."""
    points = [{"path": about["path"], **point} for about in found for point in about["quantiles"]]
    spoken = "; ".join(f"{about['path']} half within {about['p50']:.1f} ms, 99 % within {about['p99']:.1f} ms" for about in found)
    time = quantitative(
        "ms", "milliseconds, in the service", scale={"type": "log"}, axis={"format": ".4~r", "tickCount": 6, "labelOverlap": True}
    )
    encoding = {
        "x": time,
        "y": percent_axis("share", "calls answered within"),
        "color": colour([about["path"] for about in found], "path"),
        "tooltip": tooltip("path", ("ms", "within, ms", ".2f"), ("share", "share of calls", ".1%")),
    }
    return Chart("latency", "Latency", f"Time to answer: {spoken}.", {"layer": [line(points, encoding)]}, height=240, wide=True)

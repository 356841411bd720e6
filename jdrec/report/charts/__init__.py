"""The charts of the pages as Vega-Lite specifications, a file for each section of the page."""

from jdrec.report.charts.base import Chart

__all__ = ["Chart"]

"""How a notebook shows definitions and results: small tables, plain HTML, every text escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jdrec.features.spec import FeatureSet
    from jdrec.training.loop import TrainReport


class Metrics(dict[str, Any]):
    """Metrics of splits as in metrics.json: a dictionary that shows itself as a table."""

    def _repr_html_(self) -> str:
        splits = {name: values for name, values in self.items() if isinstance(values, Mapping)}
        names = dict.fromkeys(name for values in splits.values() for name, value in values.items() if _is_number(value))
        rows = [[name, *(_measured(values.get(name), values.get("interval"), name) for values in splits.values())] for name in names]
        others = ", ".join(f"{name}: {_number(value)}" for name, value in self.items() if _is_number(value))
        return table(["", *splits], rows, others)


def feature_set_html(feature_set: FeatureSet) -> str:
    """The features in the query's order, each with where it comes from."""
    rows = [
        [
            feature.name,
            feature.type.value,
            feature.kind.value,
            f"over {feature.window}" if feature.window else f"from {feature.join}" if feature.join else feature_set.request_table,
            feature.text,
        ]
        for feature in feature_set.features
    ]
    caption = f"{len(rows)} columns of {feature_set.request_table}, {len(feature_set.windows)} windows, {len(feature_set.joins)} joins"
    return table(["feature", "type", "kind", "", "expression"], rows, caption)


def training_html(report: TrainReport) -> str:
    """The evaluations, one a row; the best is marked."""
    rows = [
        [
            f"{entry.step:,}",
            f"{entry.epoch:.1f}",
            _number(entry.train_loss),
            *(_measured(value, entry.interval, name) for name, value in (("auc", entry.auc), ("logloss", entry.logloss))),
            "best" * entry.best,
        ]
        for entry in report.history
    ]
    return table(["batch", "epoch", "train loss", "valid AUC", "valid logloss", ""], rows, report.summary())


def table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """An HTML table of plain texts."""
    parts = [f"<caption>{escape(caption)}</caption>"] if caption else []
    parts.append("<thead><tr>" + "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head) + "</tr></thead>")
    parts.append("<tbody>" + "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows) + "</tbody>")
    return f"<table>{''.join(parts)}</table>"


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _measured(value: float | None, intervals: Mapping[str, Sequence[float | None]] | None, name: str) -> str:
    """As in 0.5803 [0.5204, 0.6391]."""
    low, high = (intervals or {}).get(name) or (None, None)
    return _number(value) + (f" [{low:.4f}, {high:.4f}]" if low is not None and high is not None else "")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4f}"

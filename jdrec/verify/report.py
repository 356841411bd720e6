"""What a verification found, cell by cell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from jdrec.compare import CompareReport, compare_column, shown
from jdrec.errors import DifferenceError
from jdrec.features.spec import Encoding

if TYPE_CHECKING:
    import pyarrow as pa

    from jdrec.verify.offline import Offline

_SHOWN_KEYS = 10


@dataclass
class Rows:
    """Requests that only one side has: how many, and the first of them with a reason."""

    count: int = 0
    examples: list[tuple[Any, str]] = field(default_factory=list)

    def add(self, key: Any, reason: str) -> None:
        self.count += 1
        if len(self.examples) < _SHOWN_KEYS:
            self.examples.append((key, reason))


@dataclass
class Report:
    """Offline against one online path.

    Attributes:
        name: what the other side is called. title: begins the last line.
        features, ids, scores: differing cells by feature, by field, and of scores.
        missing: offline, not online. extra: online, not offline.
        largest: of the differences between scores.
        notes: what else to know.
    """

    name: str
    label: str | None
    tolerance: float
    score_tolerance: float
    shown: int
    title: str = ""
    features: CompareReport = field(init=False)
    ids: CompareReport = field(init=False)
    scores: CompareReport = field(init=False)
    missing: Rows = field(default_factory=Rows)
    extra: Rows = field(default_factory=Rows)
    largest: float = 0.0
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.features, self.ids, self.scores = (CompareReport("offline", self.name) for _ in range(3))

    def add(self, offline: Offline, rows: np.ndarray, numbers: np.ndarray, features: pa.Table, nan_is_null: bool = False) -> None:
        """Compares the features of the next requests.

        Args:
            rows: int64 [n], the offline rows. numbers: what they are called in the report.
            features: the feature set's columns of the other side.
            nan_is_null: whether the other side cannot tell NaN from NULL.
        """
        import pyarrow as pa

        expected, keys = offline.features.take(pa.array(rows)), offline.keys.take(pa.array(rows))
        self.features.features = len(features.schema.names) - (self.label is not None)
        for name in features.schema.names:
            if name != self.label:
                a, b = expected[name].combine_chunks(), features[name].combine_chunks()
                if nan_is_null and pa.types.is_floating(a.type):
                    a = without_nan(a)
                compare_column(self.features, name, a, b, keys, tolerance=self.tolerance, examples=self.shown, numbers=numbers)
        self.features.rows += len(rows)

    def add_model(self, offline: Offline, rows: np.ndarray, numbers: np.ndarray, ids: np.ndarray, scores: np.ndarray) -> None:
        """Compares what became of their features: ids, int64 [n, columns], and scores, float64 [n], of the other side."""
        import pyarrow as pa

        if not len(rows):
            return
        keys = offline.keys.take(pa.array(rows))
        expected = offline.ids[rows]
        self.ids.features, self.ids.rows = ids.shape[1], self.ids.rows + len(rows)
        if expected.shape != ids.shape:
            raise DifferenceError(f"{self.name} has {ids.shape[1]} ids a request where the run's encoder gives {expected.shape[1]}.")
        for column in np.flatnonzero((expected != ids).any(axis=0)).tolist():
            field_ = offline.encoder.fields[column]
            kind = np.float64 if field_.encoding is Encoding.NUMERIC else np.int64
            a, b = (pa.array(np.ascontiguousarray(side[:, column]).view(kind)) for side in (expected, ids))
            compare_column(self.ids, f"id of {field_.name}", a, b, keys, examples=self.shown, numbers=numbers)
        wanted = offline.scores(rows)
        self.largest = max(self.largest, float(np.abs(wanted - scores).max()))
        same = np.abs(wanted - scores) <= self.score_tolerance
        self.scores.features, self.scores.rows = 1, self.scores.rows + len(rows)
        compare_column(
            self.scores, "score", pa.array(wanted), pa.array(np.where(same, wanted, scores)), keys, examples=self.shown, numbers=numbers
        )

    @property
    def differences(self) -> int:
        return self.features.cells + self.ids.cells + self.scores.cells + self.missing.count + self.extra.count

    def lines(self) -> list[str]:
        """What differs, then one line: `13,916 requests, 41 features, 41 ids, 13,916 scores: 0 differ`."""
        lines = [*self.features.details("values"), *self.ids.details("ids"), *self.scores.details("scores")]
        for what, rows in (("missing", self.missing), ("extra", self.extra)):
            if rows.count:
                where = f"offline, not {self.name}" if what == "missing" else f"{self.name}, not offline"
                lines.append(f"{rows.count:,} {'request' if rows.count == 1 else 'requests'} {what} ({where})")
                lines += [f"  {shown(key)}: {reason}" for key, reason in rows.examples[: self.shown]]
        lines += self.notes
        if self.scores.rows and self.largest > 0:
            lines.append(f"largest difference of two scores: {self.largest:.1e}")
        return [*lines, self.summary()]

    def summary(self) -> str:
        counts = [
            f"{self.features.rows:,} requests",
            f"{self.features.features} features",
            f"{self.ids.features} ids",
            f"{self.scores.rows:,} scores",
        ]
        differ = [
            f"{count:,} {what}"
            for count, what in (
                (self.features.cells, "values"),
                (self.ids.cells, "ids"),
                (self.scores.cells, "scores"),
                (self.missing.count, "missing"),
                (self.extra.count, "extra"),
            )
            if count
        ]
        total = f"{self.differences:,} differ" + (f" ({', '.join(differ)})" if differ else "")
        return f"{self.title}{': ' if self.title else ''}{', '.join(counts)}: {total}"

    def raise_if_different(self) -> None:
        """Raises:
        DifferenceError: anything differs, or nothing was compared.
        """
        if self.differences:
            names = [*self.features.differing, *self.ids.differing, *self.scores.differing]
            what = f": {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}" if names else ""
            raise DifferenceError(f"offline and {self.name} are not the same{what}.")
        if not self.features.rows:
            raise DifferenceError("there was no request to compare.", where="verify.requests")

    def to_dict(self) -> dict[str, Any]:
        """Plain containers, for verify.json."""

        def cells(report: CompareReport) -> dict[str, Any]:
            return {
                "rows": report.rows,
                "columns": report.features,
                "differing": report.differing,
                "examples": [{"of": d.feature, "row": d.row, "key": d.key, "offline": d.a, self.name: d.b} for d in report.examples],
            }

        return {
            "online": self.name,
            "requests": self.features.rows,
            "differences": self.differences,
            "features": cells(self.features),
            "ids": cells(self.ids),
            "scores": {**cells(self.scores), "largest_difference": self.largest},
            "missing": {"count": self.missing.count, "examples": self.missing.examples},
            "extra": {"count": self.extra.count, "examples": self.extra.examples},
            "notes": self.notes,
        }


def without_nan(array: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)

"""report.html holds what the run's files say, all of it and by itself."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
import yaml

from jdrec import report
from jdrec.errors import StageError
from jdrec.report import filters
from jdrec.report.page import contents, write_page
from jdrec.stages import Run
from tests.verify.small_run import config_of, with_config


class Reader(HTMLParser):
    """Texts of elements by id or class, table rows, embedded JSON, and every address."""

    def __init__(self, text: str):
        super().__init__()
        self.addresses: list[str] = []
        self.json: dict[str, Any] = {}
        self.texts: list[str] = []
        self.pre: list[str] = []
        self.rows: dict[str, list[list[str]]] = {}
        self._script: str | None = None
        self._in: list[str] = []
        self._table: str | None = None
        self._label = ""
        self.feed(text)
        for table in self.rows.values():
            for row in table:
                row[:] = [" ".join(cell.split()) for cell in row]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        about = dict(attrs)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "action", "data") and value]
        self._label = about.get("aria-label") or self._label
        if tag == "script":
            self._script = about.get("id") if about.get("type") == "application/json" else ""
        elif tag == "table":
            self._table = about.get("id") or self._label
            self.rows[self._table] = []
        elif tag == "tr" and self._table:
            self.rows[self._table].append([])
        elif tag in ("td", "th") and self._table:
            self.rows[self._table][-1].append("")
        if tag not in ("meta", "link", "input", "br"):
            self._in.append(tag)
        if tag == "pre":
            self.pre.append("")

    def handle_endtag(self, tag: str) -> None:
        while self._in and self._in.pop() != tag:
            pass
        if tag == "table":
            self._table = None
        if tag == "script":
            self._script = None

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            if self._script:
                self.json[self._script] = json.loads(data)
            return
        if "pre" in self._in:
            self.pre[-1] += data
        elif self._table and self.rows[self._table] and self.rows[self._table][-1]:
            self.rows[self._table][-1][-1] += f" {data}"
        self.texts.append(data.strip())


@pytest.fixture(scope="module")
def text(finished: Run) -> str:
    return (finished.folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Reader:
    return Reader(text)


def read(run: Run, name: str) -> Any:
    return json.loads((run.folder / name).read_text())


def test_it_has_everything_in_it_and_is_small(text: str, page: Reader) -> None:
    assert len(text.encode()) < 3_000_000
    assert [address for address in page.addresses if not address.startswith(("#", "data:"))] == []
    assert "default-src 'none'" in text
    assert not re.search(r"@import|url\((?!data:)", text.partition("<style>")[2].partition("</style>")[0])


def test_the_metrics_are_those_of_metrics_json(finished: Run, page: Reader) -> None:
    metrics = read(finished, "metrics.json")
    head, *rows = page.rows["Metrics"]
    assert head == ["metric", "train", "valid", "test"]
    shown = {row[0]: row[1:] for row in rows}
    for name in ("auc", "logloss", "ece"):
        for cell, split in zip(shown[name], ("train", "valid", "test"), strict=True):
            low, high = metrics[split]["interval"][name]
            assert cell == f"{metrics[split][name]:.4f} {low:.4f} to {high:.4f}"
    assert f"{metrics['test']['auc']:.4f}" in page.texts


def test_every_feature_is_there_with_its_numbers(finished: Run, page: Reader) -> None:
    about = {feature["name"]: feature for feature in read(finished, "report.json")["features"]}
    importance = {row["name"]: row for row in read(finished, "importance.json")["features"]}
    rows = page.rows["feature-table"][1:]
    names = [feature.name for feature in finished.feature_set.features if not feature.is_block_key]
    assert [next(name for name in names if row[0].startswith(name)) for row in rows] == names
    for name, row in zip(names, rows, strict=True):
        assert row[2] == f"{about[name]['distinct']:,}"
        assert row[6].startswith(
            f"valid {filters.fixed(about[name]['psi']['valid'], 3)} test {filters.fixed(about[name]['psi']['test'], 3)}"
        )
        assert row[8] == (filters.fixed(importance[name]["mean"], 4) if name in importance else "–")


def test_the_tables_profile(page: Reader) -> None:
    columns = {row[0]: row[1:] for row in page.rows["Columns of request"][1:]}
    assert columns["id"][:2] == ["string", "0"]
    assert columns["price"][1] == "118 (5.9 %)"  # every 17th of 2,000
    assert columns["day"][2:] == ["2016-03-01", "2016-03-30"]
    assert columns["at"][2:] == ["2016-03-31 18:11", "2016-03-31 19:10"]  # by the clock of dataset.timezone


def test_the_charts_hold_the_files_numbers(finished: Run, page: Reader) -> None:
    report_, history = read(finished, "report.json"), read(finished, "checkpoints/training.json")["history"]
    assert set(page.json) >= {
        f"{name}-spec" for name in ("label-rate", "losses", "validation-auc", "roc", "precision-recall", "calibration")
    }
    points = page.json["label-rate-spec"]["data"]["values"]
    assert sum(point["rows"] for point in points) == 2000
    assert [p["auc"] for p in page.json["validation-auc-spec"]["layer"][-1]["data"]["values"]] == [e["auc"] for e in history]
    ends = page.json["validation-auc-spec"]["layer"][0]["data"]["values"]
    assert [[p["low"], p["high"]] for p in ends] == [e["interval"]["auc"] for e in history]
    test = [p for p in page.json["roc-spec"]["layer"][1]["data"]["values"] if p["split"] == "test"]
    assert [(p["fpr"], p["tpr"]) for p in test] == [(p["fpr"], p["tpr"]) for p in report_["curves"]["test"]["roc"]]
    assert page.json["importance-spec"]["data"]["values"][0]["mean"] == max(
        r["mean"] for r in read(finished, "importance.json")["features"]
    )
    assert [spec["description"] for spec in page.json.values() if not spec["description"]] == []


def test_sql_and_configuration_are_there_word_for_word(finished: Run, page: Reader) -> None:
    sql = (finished.folder / "sql" / "select_features.sql").read_text()
    assert sql.strip() in [item.strip() for item in page.pre]
    assert yaml.safe_load(page.pre[-1]) == read(finished, "run.json")["config"]


def test_what_a_user_wrote_is_text_and_never_markup(text: str) -> None:
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_stages_with_their_times(finished: Run, page: Reader) -> None:
    shown = contents(finished.folder, finished.config)["flow"]
    assert [(stage["stage"], stage["start"], stage["share"]) for stage in shown] == [("extract", 0.0, 5.0), ("train", 5.0, 95.0)]
    assert {"reused", "250 ms", "4.8 s", "300 MiB"} <= set(page.texts)


def test_figures_of_benches_are_shown_and_have_to_be_theirs(finished: Run, tmp_path: Any) -> None:
    file = tmp_path / "serving.json"
    file.write_text(json.dumps({"bench": "serving", "time": "t", "command": "python bench/serving.py", "figures": {"p99, ms": 7.125}}))
    config = msgspec.structs.replace(finished.config, report=msgspec.structs.replace(finished.config.report, figures=[str(file)]))
    assert contents(finished.folder, config)["figures"][0]["figures"] == {"p99, ms": 7.125}
    file.write_text("{}")
    with pytest.raises(StageError, match=r"report\.figures: .*serving\.json is not a file that a bench script wrote"):
        contents(finished.folder, config)


def test_a_verification_is_shown(finished: Run, tmp_path: Any) -> None:
    cells = {"rows": 7, "columns": 9, "differing": {}, "examples": []}
    about = {"online": "session", "requests": 7, "differences": 0, "features": cells, "ids": cells, "scores": cells}
    file = finished.folder / "verify.json"
    file.write_text(json.dumps([about]))
    try:
        write_page(finished)
        assert "0 differ" in Reader((finished.folder / "report.html").read_text()).texts
    finally:
        file.unlink()
        write_page(finished)


def test_the_latency_that_the_run_measured_while_it_served_is_shown(finished: Run) -> None:
    log = finished.folder / "service.jsonl"
    bench = finished.folder / "bench" / "serving.json"
    log.write_text(
        "".join(json.dumps({"time": 1, "path": "/predict", "status": 200, "ms": ms / 10, "rows": 1}) + "\n" for ms in range(1, 101))
    )
    bench.parent.mkdir()
    bench.write_text(json.dumps({"bench": "serving", "time": "t", "command": "c", "figures": {"p99, ms": 7.125}}))
    try:
        write_page(finished)
        found = Reader((finished.folder / "report.html").read_text())
        assert found.rows["Latency"][1][:8] == ["/predict", "100", "0", "1.0", "5.0", "9.5", "9.9", "10.0"]
        assert found.json["latency-spec"]["description"] == "Time to answer: /predict half within 5.0 ms, 99 % within 9.9 ms."
        assert found.rows["Figures of serving"][1] == ["p99, ms", "7.125"]
    finally:
        log.unlink()
        bench.unlink()
        bench.parent.rmdir()
        write_page(finished)


def test_without_the_library_or_the_wish_there_is_no_page(finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert report.skipped(finished.config) is None
    off = config_of(finished.folder, report={"enabled": False})
    assert report.skipped(off) == "report.enabled=false"
    monkeypatch.setattr(report, "LIBRARY", "no_such_library")
    assert report.skipped(finished.config) == "its charts need Vega-Lite: pip install 'jdrec[report]'"


def test_a_run_without_a_label_rate_or_training_still_has_a_page(finished: Run, tmp_path: Any) -> None:
    import shutil

    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    (folder / "checkpoints" / "training.json").unlink()
    (folder / "importance.json").unlink()
    statistics = read(finished, "report.json") | {"timeline": None, "by_time": [], "by_group": {}}
    (folder / "report.json").write_text(json.dumps(statistics))
    run = with_config(Run(finished.config, folder), finished.folder / "tables", cache={"dir": str(finished.folder / "cache")})
    write_page(run)
    found = Reader((folder / "report.html").read_text())
    assert "training" not in [address.lstrip("#") for address in found.addresses]
    assert "label-rate-spec" not in found.json and "roc-spec" in found.json

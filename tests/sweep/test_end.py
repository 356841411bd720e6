"""A sweep's end: configurations over seeds, what failed, files and page."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jdrec.sweep import end
from jdrec.sweep.configurations import configurations
from jdrec.sweep.jobs import JobError, read_jobs, together
from tests.conftest import needs_module
from tests.sweep.small import AUC, a_job, a_sweep


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_jobs_that_differ_by_seed_alone_are_one_configuration(tmp_path: Path) -> None:
    found = configurations(read_jobs(a_sweep(tmp_path)))
    assert [c.overrides for c in found] == [(f"model.embedding_dim={dim}",) for dim in (4, 8, 16, 0)]
    assert [len(c.finished) for c in found] == [4, 4, 4, 0]
    assert found[0].mean() == pytest.approx(0.8275) and found[0].spread() == pytest.approx(np.std(AUC["4"], ddof=1))
    assert found[3].mean() is None and found[3].spread() is None


def test_p_is_of_a_paired_t_test_and_adjusted(tmp_path: Path) -> None:
    stats = pytest.importorskip("scipy.stats")
    found = configurations(read_jobs(a_sweep(tmp_path)))
    raw = [stats.ttest_rel(AUC["4"], AUC[dim]).pvalue for dim in ("8", "16")]
    assert found[0].p is None and found[3].p is None
    assert found[2].p == pytest.approx(2 * raw[1]) and found[1].p == pytest.approx(max(raw[0], 2 * raw[1]))


def test_other_seeds_are_compared_by_welch(tmp_path: Path) -> None:
    stats = pytest.importorskip("scipy.stats")
    for number, (dim, seed, auc) in enumerate([(4, 1, 0.8), (4, 2, 0.83), (4, 3, 0.82), (8, 7, 0.75), (8, 8, 0.79)]):
        a_job(tmp_path, number, [f"seed={seed}", f"model.embedding_dim={dim}"], auc, seed=seed)
    found = configurations(read_jobs(tmp_path))
    assert found[1].p == pytest.approx(stats.ttest_ind([0.8, 0.83, 0.82], [0.75, 0.79], equal_var=False).pvalue)


def test_one_seed_each_has_no_spread_and_no_p(tmp_path: Path) -> None:
    for number, auc in enumerate((0.7, 0.8)):
        a_job(tmp_path, number, [f"model.dropout=0.{number}"], auc)
    found = configurations(read_jobs(tmp_path))
    assert [(c.overrides, c.spread(), c.p) for c in found] == [(("model.dropout=0.1",), None, None), (("model.dropout=0.0",), None, None)]


def test_the_files_and_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    a_sweep(tmp_path)
    end.show(tmp_path)
    board = rows(tmp_path / "leaderboard.csv")
    assert [row["overrides"] for row in board] == [f"model.embedding_dim={dim}" for dim in (4, 8, 16, 0)]
    assert float(board[0]["valid.auc"]) == pytest.approx(0.8275) and float(board[0]["test.auc"]) == pytest.approx(0.8175)
    assert float(board[1]["valid.auc.sd"]) == pytest.approx(np.std(AUC["8"], ddof=1))
    assert (board[3]["jobs"], board[3]["finished"], board[3]["valid.auc"]) == ("1", "0", "")
    runs = rows(tmp_path / "runs.csv")
    assert len(runs) == 13 and float(runs[3]["valid.auc"]) == 0.85
    assert (runs[12]["status"], runs[12]["error"]) == ("failed", "ConfigError: <b>0</b> does not fit")
    said = capsys.readouterr().out
    assert "4 configurations, 13 jobs by valid.auc" in said and "0.8275 ± 0.0171" in said
    assert "job 12 failed: ConfigError: <b>0</b> does not fit" in caplog.text


def test_a_sweep_that_evaluated_nothing_leaves_nothing(tmp_path: Path) -> None:
    a_job(tmp_path, 0, [], None, error="x")
    end.show(tmp_path)
    assert {item.name for item in tmp_path.iterdir()} == {"0"}


def test_a_job_that_wrote_no_record_says_why_by_its_output(tmp_path: Path) -> None:
    job = a_job(tmp_path, 0, ["model.embedding_dim=0"], 0.5)
    (job / "run.json").unlink()
    (job / "output.txt").write_text("warm up\nerror: model.embedding_dim: 0 does not fit.\n")
    (found,) = read_jobs(tmp_path)
    assert (found.status, found.value, found.error) == ("failed", None, "model.embedding_dim: 0 does not fit.")


def test_every_failed_job_is_told_with_its_reason_and_log(tmp_path: Path) -> None:
    (only,) = end.show(a_sweep(tmp_path))
    assert str(together([only])) == f"job 12 of the sweep failed: ConfigError: <b>0</b> does not fit\n  {tmp_path}/12/jdrec.log"
    errors = [JobError(number, f"reason {number}\nand more", Path(f"{number}/jdrec.log")) for number in (11, 2, 1)]
    assert str(together(errors)) == (
        "3 jobs of the sweep failed:\njob 1: reason 1\n  1/jdrec.log\njob 2: reason 2\n  2/jdrec.log\njob 11: reason 11\n  11/jdrec.log"
    )
    many = str(together([JobError(number, "x" * 1000, Path("log")) for number in range(50)]))
    assert many.endswith("  log\nand 30 more") and max(map(len, many.splitlines())) < 320
    assert str(JobError(3, None, Path("log"))) == "job 3 of the sweep failed: it left no word\n  log"


def page_of(folder: Path) -> str:
    needs_module("vl_convert", "report")
    end.show(a_sweep(folder))
    return (folder / "sweep.html").read_text()


def test_the_page_has_the_numbers_and_is_safe(tmp_path: Path) -> None:
    text = page_of(tmp_path)
    assert len(text.encode()) < 3_000_000
    table = re.search(r'<table id="leaderboard-table">.*?</table>', text, re.DOTALL)
    assert table is not None
    plain = " ".join(re.sub(r"<[^>]+>", " ", table[0]).split())
    assert "1 model.embedding_dim=4 0.8275 ± 0.0171 0.4173 ± 0.0017 0.8175 ± 0.0171" in plain
    assert "&lt;b&gt;0&lt;/b&gt; does not fit" in text and "<b>0</b>" not in text
    assert '"effect-model-embedding-dim"' in text and 'id="parallel"' in text


@pytest.mark.browser
def test_the_page_in_a_browser(tmp_path: Path) -> None:
    from tests.report.chromium import browser, find
    from tests.report.test_browser import LOW_CONTRAST, NAMELESS

    page_of(tmp_path)
    program: Any = find()
    with browser(program) as page:
        for width, dark in ((1280, False), (1280, True), (390, False)):
            page.open(tmp_path / "sweep.html", width=width, dark=dark)
            assert (page.requests, page.complaints) == ([], [])
            assert (page.run(LOW_CONTRAST), page.run(NAMELESS)) == ([], [])
            assert page.run("document.documentElement.scrollWidth <= innerWidth")
        page.run("document.querySelector('#leaderboard-table thead tr').cells[2].querySelector('button').click()")
        first = "document.querySelector('#leaderboard-table tbody tr').cells[1].textContent"
        assert page.run(first) == "model.embedding_dim=4"
        page.run("document.querySelector('#leaderboard-table thead tr').cells[2].querySelector('button').click()")
        assert page.run(first) == "model.embedding_dim=16"

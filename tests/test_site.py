"""The documents as a site: built strictly, and asking nobody."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPO, needs_module


def build(sources: Path, out: Path) -> subprocess.CompletedProcess[str]:
    needs_module("sphinx", "docs")
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "-c", str(REPO / "docs" / "site")]
    return subprocess.run([*command, str(sources), str(out)], capture_output=True, text=True)


@pytest.mark.slow
def test_the_site_has_every_page_and_fetches_nothing(tmp_path: Path) -> None:
    done = build(REPO / "docs", tmp_path)
    assert done.returncode == 0, done.stderr
    pages = {page.stem: page.read_text(encoding="utf-8") for page in tmp_path.glob("*.html")}
    assert set(pages) >= {document.stem for document in (REPO / "docs").glob("*.md")}
    assert "One experiment on one screen" in pages["index"]
    for name, page in pages.items():
        fetched = re.findall(r'<(?:script|img|iframe|link)\b[^>]*?(?:src|href)="((?:https?:)?//[^"]+)"', page)
        assert fetched == [], name
    assert re.findall(r"url\(['\"]?(?:https?:)?//|@import", "".join(file.read_text() for file in tmp_path.rglob("*.css"))) == []


@pytest.mark.slow
@pytest.mark.parametrize("link", ["[x](no-such-page.md)", "[x](index.md#no-such-heading)"])
def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path, link: str) -> None:
    sources = tmp_path / "docs"
    sources.mkdir()
    (sources / "index.md").write_text(f"# A page\n\n{link}\n")
    done = build(sources, tmp_path / "out")
    assert done.returncode == 1 and "xref_missing" in done.stderr

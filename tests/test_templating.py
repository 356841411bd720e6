"""Templates that are kept compiled: an edited one is compiled anew, and a cache that cannot be written costs only time."""

from __future__ import annotations

from pathlib import Path

import pytest

from jdrec.errors import TemplateError
from jdrec.templating import render


@pytest.mark.parametrize("cache", ["cache", "file/cache"])
def test_an_edited_template_is_not_taken_from_the_cache(cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / cache))
    template = tmp_path / "greeting.j2"
    for text, expected in (("Hello {{ name }}", "Hello you"), ("Hello {{ name }}", "Hello you"), ("Bye {{ name }}", "Bye you")):
        template.write_text(text)
        assert render(tmp_path, "greeting.j2", {"name": "you"}, {}) == expected
    kept = list((tmp_path / "cache").rglob("*.cache")) if cache == "cache" else []
    assert len(kept) == (1 if cache == "cache" else 0)


def test_a_kept_template_still_names_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "broken.j2").write_text("one\n{{ nothing }}\n")
    for _ in range(2):
        with pytest.raises(TemplateError) as error:
            render(tmp_path, "broken.j2", {}, {})
        assert error.value.where == f"templates/{tmp_path.name}/broken.j2:2"

"""Pages from templates/report: Jinja2 with escaping on, everything a page needs inside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jdrec.files import write_text
from jdrec.paths import TEMPLATES
from jdrec.report import filters, library

FOLDER = TEMPLATES / "report"


def write(file: Path, template: str, values: Mapping[str, Any], cache: Path) -> int:
    """Writes a page and returns its size in bytes.

    Args:
        cache: where the charts' library is kept between pages.
    """
    text = render(template, values, library.script(cache))
    write_text(file, text)
    return len(text.encode())


def render(template: str, values: Mapping[str, Any], charts_library: str) -> str:
    """The page's text; what the template does not know is an error."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=True
    )
    for name in ("number", "fixed", "short", "percent", "duration", "mebibytes"):
        environment.filters[name] = getattr(filters, name)
    own = {name: Markup((FOLDER / file).read_text(encoding="utf-8")) for name, file in (("style", "page.css"), ("behaviour", "page.js"))}
    return environment.get_template(template).render(**values, **own, library=Markup(charts_library))

"""The documents as a site: `make docs`. Nothing is fetched, neither while it is built nor by its reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pygments.lexers.special import TextLexer

project = "jdrec"
extensions = ["myst_parser"]
exclude_patterns = ["site/*"]
root_doc = "index"
myst_heading_anchors = 4  # GitHub's: own links to headings work in both places
myst_links_external_new_tab = False
highlight_language = "none"  # of indented blocks: commands and what they print
html_theme = "furo"
html_title = "jdrec"
html_copy_source = html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {"source_view_link": "", "top_of_page_buttons": []}


def _readme(app: Any, relative: Path, parent: str, content: list[str]) -> None:
    """README.md lies above docs/: its links are those of docs/ where index.md includes it."""
    content[0] = content[0].replace("](docs/", "](").replace("](README.zh.md)", "](index.zh.md)").replace("](README.md)", "](index.md)")


def setup(app: Any) -> None:
    app.connect("include-read", _readme)
    app.add_lexer("csv", TextLexer)

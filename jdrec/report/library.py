"""Vega, Vega-Lite and Vega-Embed as one script to put into a page."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from jdrec.files import write_text


def script(cache: Path) -> str:
    """JavaScript that defines `vegaEmbed`; it asks no network.

    Args:
        cache: folder that keeps it, as bundling it takes seconds.
    """
    file = cache / ".vega" / f"{metadata.version('vl-convert-python')}.js"
    if not file.is_file():
        import vl_convert

        bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
        write_text(file, safe(f"(() => {{\n{bundle}\n}})();\n"))
    return file.read_text(encoding="utf-8")


def safe(script: str) -> str:
    """The same script for a place between <script> and </script>."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")

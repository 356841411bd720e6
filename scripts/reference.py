"""Writes docs/reference.md: every configuration key, from the schema. `python scripts/reference.py [--check]`."""

from __future__ import annotations

import sys
from pathlib import Path

from jdrec.config import Config
from jdrec.config.describe import Key, rows

TARGET = Path(__file__).resolve().parent.parent / "docs" / "reference.md"
HEADER = """# Configuration reference

Every key, made from the schema in `jdrec/config/` by `python scripts/reference.py`. A key in angle brackets is a name of your own.
Any key can be overridden on the command line: `trainer.batch_size=500`.
"""


def reference() -> str:
    """The text of docs/reference.md."""
    sections: dict[str, list[Key]] = {}
    for key in rows(Config):
        sections.setdefault(key.name.split(".")[0] if "." in key.name else "top level", []).append(key)
    text = HEADER
    for name, keys in sections.items():
        text += f"\n## {name}\n\n| key | type | default | |\n|---|---|---|---|\n"
        for key in keys:
            default = key.default if key.default in ("", "required") else f"`{key.default}`"
            text += f"| `{key.name}` | {_cell(key.type)} | {default} | {_cell(key.description)} |\n"
    return text


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(
            0 if TARGET.read_text(encoding="utf-8") == reference() else "docs/reference.md is out of date: run python scripts/reference.py"
        )
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(reference(), encoding="utf-8")

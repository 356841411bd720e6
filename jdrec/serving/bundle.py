"""The scoring code that an exported model carries, so that it runs where jdrec is not installed.

It is every module that `jdrec.training.scoring` imports at module level, directly or not, as plain source.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ENTRY = "jdrec.training.scoring"
REQUIREMENTS = ("numpy", "safetensors", "msgspec")  # what the modules need besides the standard library
_ROOT = Path(__file__).resolve().parents[2]
_EMPTY = '"""Only what scoring needs is here."""\n'


def sources(entry: str = ENTRY) -> dict[str, str]:
    """Path, as in jdrec/training/scoring.py, to source text of the entry module and all it needs.

    A package's own code is left out, and stands empty, unless a module imports one of its names.
    """
    found: dict[str, str] = {}
    waiting = [entry]
    while waiting:
        file = _file(waiting.pop())
        if file is None or (path := file.relative_to(_ROOT).as_posix()) in found:
            continue
        found[path] = file.read_text(encoding="utf-8")
        waiting += _imports(ast.parse(found[path]).body)
    for path in list(found):
        for package in Path(path).parents:
            if package.name:
                found.setdefault((package / "__init__.py").as_posix(), _EMPTY)
    return found


def _file(module: str) -> Path | None:
    """The source of a module of jdrec; None for what is not one."""
    if module.split(".")[0] != "jdrec":
        return None
    place = _ROOT.joinpath(*module.split("."))
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


def _imports(body: list[ast.stmt]) -> Iterator[str]:
    """Modules that are imported when a module is; not those inside functions or for type checkers."""
    for statement in body:
        if isinstance(statement, ast.Import):
            yield from (name.name for name in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            names = [f"{statement.module}.{name.name}" for name in statement.names]
            yield from names
            if not all(map(_file, names)):  # a name that is no module is in the package's own code
                yield statement.module
        elif isinstance(statement, ast.If):
            yield from _imports(statement.orelse if "TYPE_CHECKING" in ast.dump(statement.test) else statement.body + statement.orelse)
        elif isinstance(statement, ast.Try):
            handlers = [inner for handler in statement.handlers for inner in handler.body]
            yield from _imports(statement.body + handlers + statement.orelse + statement.finalbody)

"""Templates: strict Jinja2 whose errors name the template and the line."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jdrec.errors import JdrecError, TemplateError


def render(folder: Path, name: str, values: Mapping[str, Any], filters: Mapping[str, Callable[..., str]]) -> str:
    """Renders one template of a folder.

    Args:
        values: what the template may use; anything else is an error.
        filters: functions for `{{ value | filter }}`.

    Raises:
        TemplateError: where it went wrong, as "templates/sql/deploy.sql.j2:12".
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # these are no HTML; every value passes a filter of its own language
        bytecode_cache=_compiled(),
    )
    environment.filters.update(filters)
    try:
        return environment.get_template(name).render(values)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(f"{error.message}.", where=f"{_shown(folder, error.name or name)}:{error.lineno}") from error
    except jinja2.TemplateNotFound as error:
        raise TemplateError(f"there is no template {error.name!r}.", where=_shown(folder, name)) from error
    except (jinja2.TemplateError, TypeError, ValueError) as error:
        raise TemplateError(f"{error}.", where=_place(error, folder, name)) from error
    except JdrecError as error:
        raise TemplateError(error.message, where=_place(error, folder, name), hint=error.hint) from error


def _compiled() -> Any:
    """Keeps compiled templates in the user's cache folder, by their source; None where that cannot be written."""
    import jinja2

    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jdrec" / "templates"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return None
    return jinja2.FileSystemBytecodeCache(str(folder)) if os.access(folder, os.W_OK) else None


def _place(error: BaseException, folder: Path, name: str) -> str:
    """The innermost template line that the error passed through."""
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".j2")]
    return f"{_shown(folder, Path(lines[-1].filename).name)}:{lines[-1].lineno}" if lines else _shown(folder, name)


def _shown(folder: Path, name: str) -> str:
    return f"templates/{folder.name}/{name}"

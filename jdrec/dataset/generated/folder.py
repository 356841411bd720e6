"""Generated tables with a known signal, made once into `dataset.root`.

    root/<table>/<table>.parquet    the tables
    root/truth/truth.parquet        the true probability of each request, for judging a model
    root/generated.json             settings, rows, label_rate, best_auc, seconds

The folder appears complete or not at all, is reused while the settings are the same, and is only ever replaced if this module made it.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, Protocol

import msgspec

from jdrec.config import AdGeneratorConfig, GeneratorConfig, JdGeneratorConfig
from jdrec.errors import ConfigError, DataError
from jdrec.files import locked
from jdrec.progress import Progress, Task

log = logging.getLogger(__name__)

FORMAT = 1  # raised when the same settings give other tables
MANIFEST = "generated.json"
_FOLDERS: dict[str, tuple[str, ...]] = {  # what each generator writes
    "jd_generated": ("action", "flattenRequest_clean", "bo_user", "bo_action", "bo_product", "bo_comment", "truth"),
    "ads_generated": ("impression", "click", "visit", "reader", "ad", "truth"),
}
_MOVE = "Choose another dataset.root, or move that folder away."


class GeneratedReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `generated.json` says, and whether the tables were there already.

    Attributes:
        rows: table to rows.
        label_rate: share of positive labels.
        best_auc: AUC of the true probabilities against the drawn labels, which no model beats but by chance; None for one class.
        best_logloss: their logloss.
        attributes_auc: AUC of what a request's own attributes and those of its joins say without any window.
        seconds: how long the generation took.
    """

    rows: dict[str, int]
    label_rate: float
    best_auc: float | None
    best_logloss: float
    attributes_auc: float | None
    seconds: float
    reused: bool = False


class _Generator(Protocol):
    """One data set's way of drawing tables."""

    def __init__(self, settings: Any, root: Path, task: Task): ...

    def run(self) -> dict[str, Any]: ...


def generate(settings: GeneratorConfig, root: Path, progress: Progress | None = None) -> GeneratedReport:
    """Makes sure that `root` holds the tables of these settings.

    Args:
        settings: how much of everything, and the seed.
        root: the data set's folder; missing, empty, or made here before.
        progress: shows rows drawn and written.

    Raises:
        ConfigError: the settings contradict each other.
        DataError: root holds something that was not generated here, or cannot be written.
    """
    root = root.resolve()
    _check_settings(settings)
    found = _made_with(root, settings)
    if found is not None:
        return found
    try:
        return _make_alone(settings, root, progress or Progress())
    except OSError as error:
        raise DataError(f"cannot write generated tables to {root}: {error}.", where="dataset.root") from error


def is_generated(settings: GeneratorConfig, root: Path) -> bool:
    """Whether `root` holds the tables of these settings."""
    return _made_with(root.resolve(), settings) is not None


def _make_alone(settings: GeneratorConfig, root: Path, progress: Progress) -> GeneratedReport:
    """Makes the tables, or finds that another process has just made them."""
    with locked(root.parent / f".{root.name}.lock"):
        found = _made_with(root, settings)
        if found is not None:
            return found
        _check_replaceable(root)
        _remove_leftovers(root)
        return _make(settings, root, progress)


def _make(settings: GeneratorConfig, root: Path, progress: Progress) -> GeneratedReport:
    generator, total = _generator_of(settings)
    start = time.perf_counter()
    work = Path(tempfile.mkdtemp(prefix=f".{root.name}.", suffix=".new", dir=root.parent))
    try:
        with progress.task("generate tables", total) as task:
            made = generator(settings, work, task).run()
        made["seconds"] = round(time.perf_counter() - start, 3)
        manifest = {"generator": _name(settings), "format": FORMAT, "settings": msgspec.to_builtins(settings), **made}
        (work / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        work.chmod(0o755)
        _swap(work, root)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report = msgspec.convert(made, GeneratedReport)
    auc = f"{report.best_auc:.4f}" if report.best_auc is not None else "undefined"
    log.info("generated  %s rows into %s (%.1f s); best possible AUC %s", f"{sum(report.rows.values()):,}", root, report.seconds, auc)
    return report


def _name(settings: GeneratorConfig) -> str:
    return "jd_generated" if isinstance(settings, JdGeneratorConfig) else "ads_generated"


def _generator_of(settings: GeneratorConfig) -> tuple[type[_Generator], int]:
    """The generator, and how many steps it will report."""
    if isinstance(settings, AdGeneratorConfig):
        from jdrec.dataset.generated.ads.tables import AdGenerator, ad_rows_total

        return AdGenerator, ad_rows_total(settings)
    from jdrec.dataset.generated.jd.tables import JdGenerator, jd_rows_total

    return JdGenerator, jd_rows_total(settings)


def _check_settings(settings: GeneratorConfig) -> None:
    seconds = settings.users * settings.days * 86_400
    if settings.requests > seconds // 2:
        raise ConfigError(
            f"{settings.requests:,} requests are too many for {settings.users:,} users in {settings.days} days: "
            "a user makes at most one request a second.",
            where="dataset.generate.requests",
            hint="Raise dataset.generate.users or days.",
        )


def _made_with(root: Path, settings: GeneratorConfig) -> GeneratedReport | None:
    """The report of an earlier run with the same settings whose files are all there."""
    manifest = _manifest(root)
    if manifest is None or manifest.get("format") != FORMAT or manifest.get("settings") != msgspec.to_builtins(settings):
        return None
    if not all((root / name / f"{name}.parquet").is_file() for name in _FOLDERS[_name(settings)]):
        return None
    fields = {field: manifest[field] for field in GeneratedReport.__struct_fields__ if field != "reused"}
    return msgspec.convert({**fields, "reused": True}, GeneratedReport)


def _manifest(root: Path) -> dict[str, Any] | None:
    try:
        manifest = json.loads((root / MANIFEST).read_text())
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and manifest.get("generator") in _FOLDERS else None


def _check_replaceable(root: Path) -> None:
    if not root.exists():
        return
    if not root.is_dir():
        raise DataError(f"{root} is a file, not a folder for generated tables.", where="dataset.root", hint="Choose another dataset.root.")
    present, manifest = sorted(item.name for item in root.iterdir()), _manifest(root)
    if present and manifest is None:
        raise DataError(
            f"{root} holds {_listed(present)} and was not made by the generator; nothing is overwritten.", where="dataset.root", hint=_MOVE
        )
    ours = {MANIFEST, *(_FOLDERS[manifest["generator"]] if manifest else ())}
    foreign = [name for name in present if name not in ours]
    if foreign:
        raise DataError(
            f"{root} was generated with other settings but also holds {_listed(foreign)}; nothing is overwritten.",
            where="dataset.root",
            hint=_MOVE,
        )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _swap(work: Path, root: Path) -> None:
    """Puts the finished folder in place of an earlier one."""
    if not root.exists():
        os.replace(work, root)
        return
    old = root.with_name(f".{root.name}.{os.getpid()}.old")
    os.replace(root, old)
    os.replace(work, root)
    shutil.rmtree(old)


def _remove_leftovers(root: Path) -> None:
    """Folders of a killed process; only the holder of the lock gets here."""
    for ending in ("new", "old"):
        for leftover in root.parent.glob(f".{root.name}.*.{ending}"):
            shutil.rmtree(leftover, ignore_errors=True)

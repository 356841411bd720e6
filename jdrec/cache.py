"""Results of stages, kept by the content of all that went into them.

An entry is a folder `<dir>/<stage>/<key>/` that appears by one rename, complete or not at all. A lock per entry makes a
second process wait for the first instead of computing the same thing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jdrec.errors import StageError
from jdrec.files import locked

RECORD = "stage.json"  # of an entry: summary, seconds, inputs
_PACKAGE = Path(__file__).resolve().parent
_LINK_FROM_BYTES = 1 << 20


def content_key(inputs: Any) -> str:
    """A 32-digit key of plain containers; equal inputs give equal keys in every process."""
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@cache
def code_version(*rooms: str) -> str:
    """A key of the source files of some rooms (paths below the package), so that new code computes anew."""
    digest = hashlib.sha256()
    for room in rooms:
        place = _PACKAGE / room
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(str(file.relative_to(_PACKAGE)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:32]


class Cache:
    """Folders of results under `root`.

    Args:
        root: folder that holds the entries; made when needed.
        enabled: whether to look entries up; new results are stored either way.
    """

    def __init__(self, root: Path, enabled: bool = True):
        self.root, self.enabled = root, enabled

    def entry(self, stage: str, key: str) -> Path:
        return self.root / stage / key

    def get_or_make(self, stage: str, key: str, make: Callable[[Path], None]) -> tuple[Path, bool]:
        """The folder of a result, and whether it was there already.

        `make` fills an empty folder; if it raises, nothing is kept.
        """
        final = self.entry(stage, key)
        if self.enabled and _use(final):
            return final, True
        lock = _lock_file(final)
        try:
            lock.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StageError(f"{self.root} cannot be made: {error.strerror}.", where="cache.dir") from None
        with locked(lock):
            if self.enabled and _use(final):
                return final, True
            _remove_leftovers(final)
            work = Path(tempfile.mkdtemp(prefix=f".{key}.", dir=final.parent))
            try:
                make(work)
                if final.exists():
                    shutil.rmtree(final)
                os.chmod(work, 0o755)
                os.replace(work, final)
            except BaseException:
                shutil.rmtree(work, ignore_errors=True)
                raise
        return final, False

    def entries(self) -> list[Entry]:
        """All results, the least recently used ones first."""
        records = [_read_entry(file) for file in self.root.glob(f"*/[!.]*/{RECORD}")]
        return sorted((entry for entry in records if entry is not None), key=lambda entry: entry.used)

    def remove(self, entry: Entry) -> bool:
        """Removes a result; False where a process is making it anew just now."""
        return self._remove_locked(entry.folder, entry.folder)

    def remove_leftovers(self) -> int:
        """Removes the work folders that killed processes left, and returns how many there were."""
        found = list(self.root.glob("*/.*.*/"))
        return sum(self._remove_locked(folder.parent / folder.name.split(".")[1], folder) for folder in found)

    def _remove_locked(self, final: Path, folder: Path) -> bool:
        try:
            with locked(_lock_file(final), wait=False):
                _remove_whole(folder)
        except BlockingIOError:
            return False
        return True


@dataclass(frozen=True)
class Entry:
    """A result in the cache.

    Attributes:
        made, used: when it was made and last reused, seconds since 1970.
        size: bytes of its files. Runs that hold hard links to them keep them.
    """

    folder: Path
    stage: str
    key: str
    made: float
    used: float
    size: int
    summary: str
    inputs: Any


def _read_entry(file: Path) -> Entry | None:
    """None where it goes away meanwhile."""
    folder = file.parent
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        size = sum(item.stat().st_size for item in folder.rglob("*") if item.is_file())
        made, used = file.stat().st_mtime, folder.stat().st_mtime
    except (OSError, ValueError):
        return None
    return Entry(folder, folder.parent.name, folder.name, made, used, size, record["summary"], record["inputs"])


def _use(final: Path) -> bool:
    """Whether a result is there; notes that it was used."""
    try:
        os.utime(final)
    except FileNotFoundError:
        return False
    except OSError:  # a cache that this user may only read
        return final.is_dir()
    return True


def _lock_file(final: Path) -> Path:
    return final.parent / ".locks" / final.name


def _remove_whole(folder: Path) -> None:
    """By a rename first, so that no one finds half of it."""
    gone = folder.with_name(f".{folder.name.strip('.')}.gone")
    os.replace(folder, gone)
    shutil.rmtree(gone)


def _remove_leftovers(final: Path) -> None:
    """Work folders of a killed process; only the holder of the entry's lock gets here."""
    for leftover in final.parent.glob(f".{final.name}.*"):
        shutil.rmtree(leftover, ignore_errors=True)


def publish(source: Path, target: Path, names: Iterable[str] | None = None) -> None:
    """Puts the files of a result into a run folder: hard links of large files where the file system can, copies otherwise.

    A file or folder of the same name that is already there is replaced. Links keep the run readable when the cache is pruned.
    """
    for item in [source / name for name in names] if names is not None else sorted(source.iterdir()):
        _replace(item, target / item.name)


def _replace(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = target.with_name(f".{target.name}.{os.getpid()}.new")
    if source.is_dir():
        shutil.copytree(source, staging, copy_function=_link_or_copy)
        if target.is_dir():
            shutil.rmtree(target)
        os.replace(staging, target)
    else:
        _link_or_copy(str(source), str(staging))
        os.replace(staging, target)
        staging.unlink(missing_ok=True)  # renaming a file onto another link of itself does nothing


def _link_or_copy(source: str, target: str) -> None:
    """Links large files; copies those that someone might edit."""
    if os.path.getsize(source) < _LINK_FROM_BYTES:
        shutil.copy2(source, target)
        return
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)

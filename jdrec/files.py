"""Files and folders that appear whole or not at all, and locks."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jdrec.errors import JdrecError

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


def staging(file: Path) -> Path:
    """A name beside `file` for its half-written state, this process's own."""
    return file.with_name(f".{file.name}.{os.getpid()}")


@contextmanager
def replacing(file: Path) -> Iterator[Path]:
    """A path to write to; it takes the name `file` when the block ends, or goes away with an error."""
    file.parent.mkdir(parents=True, exist_ok=True)
    staged = staging(file)
    try:
        yield staged
        os.replace(staged, file)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """A new folder to fill; it takes the name `folder`, which an older one may have, when the block ends, or goes away with an error."""
    staged, old = staging(folder), folder.with_name(f".{folder.name}.old.{os.getpid()}")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    try:
        yield staged
        if folder.exists():
            folder.rename(old)
        staged.rename(folder)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


def write_text(file: Path, text: str) -> None:
    """Writes a file of UTF-8 as it stands, line ends included; its folder is made where it is missing."""
    with replacing(file) as staged:
        staged.write_text(text, encoding="utf-8", newline="")


@contextmanager
def locked(file: Path, *, wait: bool = True) -> Iterator[None]:
    """Holds the lock that `file` stands for, among threads and processes; a process that dies lets go of it.

    The library filelock does the same, but imports asyncio first, which takes a twentieth of a second at every start.

    Raises:
        BlockingIOError: someone else holds it, and `wait` is false.
        JdrecError: the file system has no locks.
    """
    handle = _open_locked(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    try:
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)  # a process that was forked meanwhile has it open, too
        os.close(handle)


def _open_locked(file: Path, how: int) -> int:
    """The file, made where it is missing, with its lock."""
    while True:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, how)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), file.stat()):
                    return handle
        except BaseException as error:
            os.close(handle)
            if isinstance(error, OSError) and error.errno in _NO_LOCKS:
                hint = "Its folder has to be on a file system that has locks (flock)."
                raise JdrecError(f"{file} cannot be locked: {error.strerror}.", hint=hint) from None
            raise
        os.close(handle)  # it was removed meanwhile, so that nobody else will meet this lock

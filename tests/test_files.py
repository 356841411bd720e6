"""Files and folders appear whole or not at all."""

import errno
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jdrec.errors import JdrecError
from jdrec.files import locked, replacing, replacing_folder, write_text


def test_a_file_is_replaced_as_a_whole(tmp_path: Path):
    file = tmp_path / "new" / "run.json"
    write_text(file, "one\r\n")
    write_text(file, "zwei\n")
    assert file.read_bytes() == b"zwei\n"
    assert [item.name for item in file.parent.iterdir()] == ["run.json"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    file = tmp_path / "run.json"
    write_text(file, "old")
    with pytest.raises(OSError, match="No space"), replacing(file) as staged:
        staged.write_text("half")
        raise OSError("No space left on device")
    assert file.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["run.json"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path):
    for text in ("one", "two"):
        with replacing_folder(tmp_path / "new" / "best") as staged:
            (staged / text).write_text(text)
            assert not (tmp_path / "new" / "best" / text).exists()
    with pytest.raises(OSError, match="No space"), replacing_folder(tmp_path / "new" / "best") as staged:
        (staged / "half").write_text("half")
        raise OSError("No space left on device")
    assert [str(item.relative_to(tmp_path)) for item in sorted(tmp_path.rglob("*"))] == ["new", "new/best", "new/best/two"]


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    lock = tmp_path / "made" / "lock"
    with locked(lock), pytest.raises(BlockingIOError), locked(lock, wait=False):
        pass
    with locked(lock, wait=False):
        pass


def test_a_lock_whose_file_was_removed_while_it_was_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, flock = tmp_path / "locks" / "lock", fcntl.flock

    def removing(handle: int, how: int) -> None:
        flock(handle, how)
        monkeypatch.setattr(fcntl, "flock", flock)
        shutil.rmtree(lock.parent)

    monkeypatch.setattr(fcntl, "flock", removing)
    with locked(lock), pytest.raises(BlockingIOError), locked(lock, wait=False):
        pass


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int, how: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(JdrecError, match=r"lock cannot be locked: Function not implemented\. Its folder has to be"),
        locked(tmp_path / "lock"),
    ):
        pass


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    code = "import os, sys; from pathlib import Path; from jdrec.files import locked\nwith locked(Path(sys.argv[1])): os._exit(0)"
    subprocess.run([sys.executable, "-c", code, str(lock)], check=True)
    with locked(lock, wait=False):
        pass


def test_a_lock_ends_while_a_process_forked_under_it_lives_on(tmp_path: Path) -> None:
    lock, (gone, kept) = tmp_path / "lock", os.pipe()
    with locked(lock):
        pid = os.fork()
        if pid == 0:
            os.close(kept)
            os.read(gone, 1)  # until the test is done
            os._exit(0)
    with locked(lock, wait=False):
        pass
    os.close(kept)
    os.waitpid(pid, 0)

"""The compiled kernels on disk: found again, replaced when useless, and not needed to be there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import pytest

from jdrec.engines.embedded import machine_code, native

LOAD = """
import sys
from jdrec.engines.embedded import machine_code, native
if {shipped} is False:
    machine_code.shipped = lambda: None
native.evaluate()
print("numba" in sys.modules)
"""


def load_in_new_process(cache: Path, *, shipped: bool = True) -> str:
    """Whether a fresh process had to import the compiler.

    Args:
        shipped: with the package's lowered kernels.
    """
    environment = {"XDG_CACHE_HOME": str(cache), "PATH": "/usr/bin:/bin", "HOME": str(cache)}
    result = subprocess.run(
        [sys.executable, "-c", LOAD.format(shipped=shipped)], capture_output=True, text=True, env=environment, check=True
    )
    return result.stdout.strip()


def test_the_shipped_kernels_are_those_of_the_sources() -> None:
    assert machine_code.shipped() is not None, "run python scripts/kernels.py"


def test_shipped_kernels_need_no_compiler(tmp_path: Path) -> None:
    assert load_in_new_process(tmp_path) == "False"


def test_kernels_of_other_sources_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "kernels.ll.gz"
    module = f'target triple = "{llvm.get_process_triple()}"\n'
    machine_code.ship(module, file)
    assert machine_code.shipped(file) == module
    machine_code.ship('target triple = "another machine"\n', file)
    assert machine_code.shipped(file) is None
    monkeypatch.setattr(machine_code, "source_key", lambda: "older")
    machine_code.ship(module, file)
    monkeypatch.undo()
    assert machine_code.shipped(file) is None
    assert machine_code.shipped(tmp_path / "nothing") is None
    file.write_bytes(file.read_bytes()[:40])
    assert machine_code.shipped(file) is None


def test_compiled_once_then_loaded_without_the_compiler(tmp_path: Path) -> None:
    assert load_in_new_process(tmp_path, shipped=False) == "True"
    (kept,) = (tmp_path / "jdrec" / "kernels").iterdir()
    assert kept.name == f"{native.cache_key()}.o"
    assert load_in_new_process(tmp_path, shipped=False) == "False"


def test_a_broken_file_is_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = native.cache_dir() / f"{native.cache_key()}.o"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half a file")
    monkeypatch.setattr(native, "_compiled", lambda: b"compiled again")
    assert native._object() == b"compiled again"
    assert native._read(path) == b"compiled again"


def test_without_the_linker_numba_itself_gives_the_code(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def fail(code: bytes) -> int:
        raise RuntimeError("no such linker")

    monkeypatch.setattr(native, "_link", fail)
    assert set(native.addresses.__wrapped__()) == set(native._NAMES)
    assert "no such linker" in caplog.text


def test_a_folder_that_cannot_be_written_only_costs_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(native, "_compiled", lambda: b"code")
    assert native._object() == b"code"
    assert "cannot keep the compiled kernels" in caplog.text


def test_the_key_follows_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    key = native.cache_key()
    assert native.cache_key() == key
    monkeypatch.setattr(machine_code, "_SOURCES", machine_code._SOURCES[:-1])
    assert native.cache_key() != key

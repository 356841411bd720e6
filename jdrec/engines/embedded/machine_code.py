"""Kernels in LLVM's language to this processor's machine code. Needs llvmlite alone, and some seconds.

The package ships the module that `scripts/kernels.py` lowered, so that a first start does not wait for numba.
"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import llvmlite.binding as llvm

SHIPPED = Path(__file__).with_name("kernels.ll.gz")
_SOURCES = ("layout.py", "memory.py", "build.py", "kernels")  # files and folders that decide what is lowered
# What the machine code may call: memory intrinsics become libc functions, which every process has.
_ALLOWED = ("memset", "memcpy", "memmove", "bzero")


def source_key() -> str:
    """Names what is lowered."""
    digest = hashlib.sha256()
    for source in (Path(__file__).parent / name for name in _SOURCES):
        for file in sorted(source.glob("*.py")) if source.is_dir() else [source]:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:32]


def ship(module: str, file: Path = SHIPPED) -> None:
    """Writes a lowered module for the package, with the key of its sources in its first line."""
    file.write_bytes(gzip.compress(f"; {source_key()}\n{module}".encode(), mtime=0))


def shipped(file: Path = SHIPPED) -> str | None:
    """The package's module; None where it is missing, or not of these sources and this kind of machine."""
    try:
        key, module = gzip.decompress(file.read_bytes()).decode().split("\n", 1)
    except (OSError, EOFError, ValueError):
        return None
    fits = f'target triple = "{llvm.get_process_triple()}"' in module
    return module if fits and key == f"; {source_key()}" else None


def processor() -> tuple[str, str, str]:
    """What machine code is made for: the kind of machine, its processor, what that can do."""
    return llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


def object_of(module: str) -> bytes:
    """A module's object file.

    Raises:
        RuntimeError: LLVM does not read it, or it needs something from Python or numba.
    """
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    _, cpu, features = processor()
    target = llvm.Target.from_default_triple().create_target_machine(cpu=cpu, features=features, opt=3, reloc="pic", codemodel="jitdefault")
    whole = llvm.parse_assembly(module)
    builder = llvm.create_pass_builder(target, llvm.create_pipeline_tuning_options(speed_level=3))
    builder.getModulePassManager().run(whole, builder)
    needed = [item.name for item in [*whole.functions, *whole.global_variables] if item.is_declaration]
    foreign = [name for name in needed if not name.startswith("llvm.") and name not in _ALLOWED]
    if foreign:
        raise RuntimeError(f"the kernels do not stand alone: they need {', '.join(foreign)}")
    return bytes(target.emit_object(whole))

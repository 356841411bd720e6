"""Loads the compiled kernels: from the user's cache folder in some milliseconds, or by compiling them once.

The object file is found by everything that decides its content: the kernels' source, the compiler's and Python's versions, and the
processor. It is made and linked into the process by llvmlite alone, from the package's lowered kernels; numba, which takes many seconds, is
needed only where these do not fit.
Calls release the GIL where not said otherwise.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from threading import Lock

log = logging.getLogger(__name__)

_BULK = {  # and how many arguments they take
    "index_texts": 5,
    "find_texts": 9,
    "number_texts": 8,
    "index_words": 4,
    "find_words": 6,
    "scatter_rows": 9,
    "sort_groups": 8,
    "find_slices": 5,
    "sum_doubles": 6,
    "sum_singles": 6,
    "sum_squares": 6,
    "select": 14,
    "categories": 1,
}
_NAMES = ("evaluate", "insert_rows", "expire_rows", *_BULK)
_DIGEST_BYTES = 32
_lock = Lock()
_keep: list[object] = []  # the linked code must outlive its functions


def cache_dir() -> Path:
    """Where compiled kernels are kept: jdrec/kernels in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jdrec" / "kernels"


def cache_key() -> str:
    """Names the object file: equal exactly when a kept one can be used."""
    import llvmlite
    import llvmlite.binding as llvm

    from jdrec.engines.embedded import machine_code

    digest = hashlib.sha256(f"{machine_code.source_key()} {_compiler()}".encode())
    digest.update(repr((llvmlite.__version__, llvm.llvm_version_info, machine_code.processor())).encode())
    return digest.hexdigest()[:32]


def _compiler() -> str:
    """Numba's version, by its file: importing it takes most of a second."""
    numba = importlib.util.find_spec("numba")
    if numba is None or not numba.origin:
        return ""
    version = Path(numba.origin).with_name("_version.py")
    return f"{sys.version} {version.read_text() if version.exists() else ''}"


@lru_cache(maxsize=1)
def addresses() -> dict[str, int]:
    """The address of each entry point (`build.ENTRY_POINTS`)."""
    with _lock:
        try:
            return _link(_object())
        except (RuntimeError, AttributeError) as error:
            log.warning("the compiled kernels cannot be kept apart from their compiler, every start compiles them: %s", error)
            return _compile_here()


@lru_cache(maxsize=1)
def evaluate() -> Callable[[int, int], None]:
    """The row evaluator (`kernels.evaluator.evaluate`); its arguments are addresses as plain integers."""
    return ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)(addresses()["evaluate"])


@lru_cache(maxsize=1)
def evaluate_briefly() -> Callable[[int, int], None]:
    """The row evaluator for a single request: it keeps the GIL, since waiting for it again may take longer than the work."""
    return ctypes.PYFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64)(addresses()["evaluate"])


@lru_cache(maxsize=1)
def insert_rows() -> Callable[[int, int, int, int, int, int, int], int]:
    """`kernels.slabs.insert_rows`; it keeps the GIL."""
    return ctypes.PYFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 7)(addresses()["insert_rows"])


@lru_cache(maxsize=1)
def expire_rows() -> Callable[[int, int, int, int], int]:
    """`kernels.slabs.expire_rows`; it keeps the GIL."""
    return ctypes.PYFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 4)(addresses()["expire_rows"])


@lru_cache(maxsize=len(_BULK))
def bulk(name: str) -> Callable[..., int]:
    """A function of `kernels.bulk`, `lanes`, `sliding` or `evaluator`; its arguments are integers, addresses most of them. Most return nothing of use."""
    return ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * _BULK[name])(addresses()[name])


def _object() -> bytes:
    path = cache_dir() / f"{cache_key()}.o"
    kept = _read(path)
    if kept is not None:
        return kept
    start = time.perf_counter()
    log.info("compiling the window kernels, once")
    code = _compiled()
    log.info("compiled the window kernels in %.1f s", time.perf_counter() - start)
    _store(path, code)
    return code


def _compiled() -> bytes:
    """The object file, from the package's lowered kernels where they fit, which is quicker."""
    from jdrec.engines.embedded import machine_code

    module = machine_code.shipped()
    if module is not None:
        try:
            return machine_code.object_of(module)
        except RuntimeError as error:  # another LLVM than the one that wrote it
            log.debug("the shipped kernels are of no use here: %s", error)
    from jdrec.engines.embedded.build import lower

    return machine_code.object_of(lower())


def _read(path: Path) -> bytes | None:
    """The kept code, if it is there and whole; its digest stands before it."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    digest, code = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    return code if hashlib.sha256(code).digest() == digest else None


def _store(path: Path, code: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".kernels-")
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(code).digest() + code)
        os.replace(name, path)
    except OSError as error:
        log.warning("cannot keep the compiled kernels, the next start compiles them again: %s", error)


def _link(code: bytes) -> dict[str, int]:
    """Links the object file into this process; the entry points' addresses."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), llvm.Target.from_default_triple().create_target_machine())
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _keep.append(engine)
    return {name: engine.get_function_address(name) for name in _NAMES}


def _compile_here() -> dict[str, int]:
    """The entry points' addresses from the compiler itself, for versions of it that cannot hand out the code."""
    import numba

    from jdrec.engines.embedded.build import ENTRY_POINTS

    result: dict[str, int] = {}
    for name, (function, signature) in ENTRY_POINTS.items():
        callback = numba.cfunc(signature, error_model="numpy")(function)  # type: ignore[type-var]
        _keep.append(callback)
        address = callback.address
        assert address is not None
        result[name] = address
    return result

"""Lowers the kernels to LLVM's language, as one module that stands alone. Needs numba; only a changed kernel comes here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import llvmlite.binding as llvm
import numba

from jdrec.engines.embedded.kernels import bulk, evaluator, lanes, slabs, sliding

ENTRY_POINTS = evaluator.ENTRY_POINTS | slabs.ENTRY_POINTS | bulk.ENTRY_POINTS | lanes.ENTRY_POINTS | sliding.ENTRY_POINTS


@contextmanager
def _lightly_optimised() -> Iterator[None]:
    """numba optimises function by function; the whole is optimised later, once, which halves the time."""
    level = numba.config.OPT  # type: ignore[attr-defined]
    numba.config.OPT = 1  # type: ignore[attr-defined]
    try:
        yield
    finally:
        numba.config.OPT = level  # type: ignore[attr-defined]


def lower() -> str:
    """A module with a C function of each entry point's name, not yet optimised.

    numba makes each function a C callback whose wrapper reports Python exceptions. The kernels raise none, so once everything
    but the entry points is private to the module, the optimiser removes that wrapper and with it all ties to Python.
    """
    whole: llvm.ModuleRef | None = None
    for name, (function, signature) in ENTRY_POINTS.items():
        with _lightly_optimised():
            callback = numba.cfunc(signature, nopython=True, error_model="numpy")(function)  # type: ignore[call-arg,type-var]
            module = llvm.parse_assembly(callback.inspect_llvm())
        for item in module.functions:
            if item.name == callback.native_name:
                item.name = name
        if whole is None:
            whole = module
        else:
            whole.link_in(module)
    assert whole is not None
    for item in [*whole.functions, *whole.global_variables]:
        if not item.is_declaration and item.name not in ENTRY_POINTS:
            item.linkage = "internal"
    return str(whole)

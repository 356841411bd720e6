"""Compiles the kernels to one stand-alone object file. Needs numba; only a first start, or a changed kernel, comes here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import llvmlite.binding as llvm
import numba

from jdrec.engines.embedded.kernels import bulk, evaluator, slabs

ENTRY_POINTS = evaluator.ENTRY_POINTS | slabs.ENTRY_POINTS | bulk.ENTRY_POINTS

# What the machine code may call: memory intrinsics become libc functions, which every process has.
_ALLOWED = ("memset", "memcpy", "memmove", "bzero")


def machine() -> llvm.TargetMachine:
    """This processor as a compilation target."""
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=3, reloc="pic", codemodel="jitdefault"
    )


@contextmanager
def _lightly_optimised() -> Iterator[None]:
    """numba optimises function by function; the whole is optimised here, once, which halves the time."""
    level = numba.config.OPT  # type: ignore[attr-defined]
    numba.config.OPT = 1  # type: ignore[attr-defined]
    try:
        yield
    finally:
        numba.config.OPT = level  # type: ignore[attr-defined]


def compile_object() -> bytes:
    """The object file with a C function of each entry point's name.

    numba makes each function a C callback whose wrapper reports Python exceptions. The kernels raise none, so once everything
    but the entry points is private to the module, the optimiser removes that wrapper and with it all ties to Python.

    Raises:
        RuntimeError: the code still needs something from Python or numba.
    """
    target = machine()
    whole: llvm.ModuleRef | None = None
    for name, (function, signature) in ENTRY_POINTS.items():
        with _lightly_optimised():
            callback = numba.cfunc(signature, nopython=True, error_model="numpy")(function)  # type: ignore[call-arg,type-var]
            module = llvm.parse_assembly(callback.inspect_llvm())
        for item in [*module.functions, *module.global_variables]:
            if item.is_declaration:
                continue
            if item.name == callback.native_name:
                item.name = name
            else:
                item.linkage = "internal"
        if whole is None:
            whole = module
        else:
            whole.link_in(module)
    assert whole is not None
    builder = llvm.create_pass_builder(target, llvm.create_pipeline_tuning_options(speed_level=3))
    builder.getModulePassManager().run(whole, builder)
    needed = [item.name for item in [*whole.functions, *whole.global_variables] if item.is_declaration]
    foreign = [name for name in needed if not name.startswith("llvm.") and name not in _ALLOWED]
    if foreign:
        raise RuntimeError(f"the kernels do not stand alone: they need {', '.join(foreign)}")
    return bytes(target.emit_object(whole))

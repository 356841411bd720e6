"""Functions of C's mathematical library, which OpenMLDB calls: NumPy's own vectorised ones round differently in the last bit."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np


@cache
def _function(name: str, kind: str, arguments: int) -> Any:
    library = ctypes.CDLL(None)  # which Python is linked with
    type_ = ctypes.c_float if kind == "f" else ctypes.c_double
    function = getattr(library, name + ("f" if kind == "f" else ""))
    function.argtypes, function.restype = [type_] * arguments, type_
    return function


def call(name: str, *arguments: np.ndarray) -> np.ndarray:
    """The function of each value, in single precision if all arguments are.

    Args:
        name: such as "sin"; arguments: float64, or all float32, of one length.
    """
    single = all(argument.dtype == np.float32 for argument in arguments)
    dtype = np.float32 if single else np.float64
    lists = [argument.astype(dtype, copy=False).tolist() for argument in arguments]
    return np.fromiter(map(_function(name, "f" if single else "d", len(arguments)), *lists), dtype, len(lists[0]))

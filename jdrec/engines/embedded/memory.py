"""Typed loads and stores at plain addresses, for kernels that take no array objects."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_BITS = {types.uint8: 8, types.int16: 16, types.int32: 32, types.int64: 64}


def _llvm(kind):  # type: ignore[no-untyped-def]
    if kind is types.float32:
        return ir.FloatType()
    if kind is types.float64:
        return ir.DoubleType()
    return ir.IntType(_BITS[kind])


def _place(builder, kind, address, index, size):  # type: ignore[no-untyped-def]
    offset = builder.mul(index, ir.Constant(ir.IntType(64), size))
    return builder.inttoptr(builder.add(address, offset), _llvm(kind).as_pointer())


def _loader(kind, size, align=None):  # type: ignore[no-untyped-def]
    @intrinsic
    def load(typing, address, index):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return builder.load(_place(builder, kind, args[0], args[1], size), align=align or size)

        return kind(types.int64, types.int64), generate

    return load


u8: Any = _loader(types.uint8, 1)
i16: Any = _loader(types.int16, 2)
i32: Any = _loader(types.int32, 4)
i64: Any = _loader(types.int64, 8)
f32: Any = _loader(types.float32, 4)
f64: Any = _loader(types.float64, 8)
word_at: Any = _loader(types.int64, 1, align=1)  # eight bytes from the index-th on, wherever they lie


def _storer(kind, size):  # type: ignore[no-untyped-def]
    @intrinsic
    def store(typing, address, index, value):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
            builder.store(args[2], _place(builder, kind, args[0], args[1], size), align=size)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, kind), generate

    return store


@intrinsic
def _bits(typing, value):  # type: ignore[no-untyped-def]
    """The bit pattern of a float64 as int64."""

    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), generate


put: Any = _storer(types.int64, 8)
put_u8: Any = _storer(types.uint8, 1)
put_i16: Any = _storer(types.int16, 2)
put_i32: Any = _storer(types.int32, 4)
put_f32: Any = _storer(types.float32, 4)
put_f64: Any = _storer(types.float64, 8)
bits: Any = _bits

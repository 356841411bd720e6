"""Sums over very many rows, of LANES windows at a time.

Rounding depends on the order of addition, so that each window has to be walked, from its newest row to its oldest; but windows of neighbouring
requests share nearly all of their rows, and a processor adds the same value to many sums at once.
"""

# mypy: ignore-errors
# (numba types this module)

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from jdrec.engines.embedded.kernels.words import kernel
from jdrec.engines.embedded.layout import LANES
from jdrec.engines.embedded.memory import f32, f64, i64, put_f32, put_f64

_WORD = ir.IntType(64)


def _adder(element, size, squared):
    """A function of addresses and bounds: adds values [low, high), the last one first, to LANES sums; if `squared`, their squared distance
    from each lane's mean."""
    lanes = ir.VectorType(element, LANES)

    def pointer(builder, address, kind):
        return builder.inttoptr(address, kind.as_pointer())

    @intrinsic
    def add(typing, values, low, high, means, sums):
        def generate(context, builder, signature, args):
            values, low, high, means, sums = args
            total = cgutils.alloca_once(builder, lanes)
            builder.store(builder.load(pointer(builder, sums, lanes), align=size), total)
            mean = builder.load(pointer(builder, means, lanes), align=size) if squared else None
            with cgutils.for_range(builder, builder.sub(high, low)) as loop:
                place = builder.sub(builder.sub(high, ir.Constant(_WORD, 1)), loop.index)
                address = builder.add(values, builder.mul(place, ir.Constant(_WORD, size)))
                value = builder.load(pointer(builder, address, element), align=size)
                first = builder.insert_element(ir.Constant(lanes, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
                every = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
                added = builder.shuffle_vector(first, ir.Constant(lanes, ir.Undefined), every)
                if squared:
                    distance = builder.fsub(added, mean)
                    added = builder.fmul(distance, distance)
                builder.store(builder.fadd(builder.load(total), added), total)
            builder.store(builder.load(total), pointer(builder, sums, lanes), align=size)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 5), generate

    return add


_add_doubles = _adder(ir.DoubleType(), 8, False)
_add_squares = _adder(ir.DoubleType(), 8, True)
_add_singles = _adder(ir.FloatType(), 4, False)


@kernel
def largest_of(words, count):
    result = i64(words, 0)
    for index in range(1, count):
        result = max(result, i64(words, index))
    return result


@kernel
def smallest_of(words, count):
    result = i64(words, 0)
    for index in range(1, count):
        result = min(result, i64(words, index))
    return result


def _walker(add_one, add_to_lanes, size):
    """A function that adds the values of each window to its sum.

    Args of it (all int64, addresses where not said otherwise):
        values: in the order of the store's rows.
        lows, highs: int64 [count]: the windows.
        count: how many windows, a multiple of LANES; neighbours should overlap.
        means: of each window, where distances from it are added up.
        sums: of each window, as they stand before.
    """

    def walk(values, lows, highs, count, means, sums):
        for begin in range(0, count, LANES):
            low, high = largest_of(lows + 8 * begin, types.int64(LANES)), smallest_of(highs + 8 * begin, types.int64(LANES))
            if low > high:  # nothing that all of them have
                low = high = smallest_of(lows + 8 * begin, types.int64(LANES))
            for window in range(begin, begin + LANES):
                for row in range(i64(highs, window) - 1, max(high, i64(lows, window)) - 1, -1):
                    add_one(values, row, means, sums, window)
            add_to_lanes(values, low, high, means + size * begin, sums + size * begin)
            for window in range(begin, begin + LANES):
                for row in range(min(low, i64(highs, window)) - 1, i64(lows, window) - 1, -1):
                    add_one(values, row, means, sums, window)

    return walk


@kernel
def _add_double(values, row, means, sums, window):
    put_f64(sums, window, f64(sums, window) + f64(values, row))


@kernel
def _add_single(values, row, means, sums, window):
    put_f32(sums, window, f32(sums, window) + f32(values, row))


@kernel
def _add_square(values, row, means, sums, window):
    distance = f64(values, row) - f64(means, window)
    put_f64(sums, window, f64(sums, window) + distance * distance)


_SIGNATURE = types.void(*[types.int64] * 6)
ENTRY_POINTS = {
    "sum_doubles": (_walker(_add_double, _add_doubles, 8), _SIGNATURE),
    "sum_singles": (_walker(_add_single, _add_singles, 4), _SIGNATURE),
    "sum_squares": (_walker(_add_square, _add_squares, 8), _SIGNATURE),
}

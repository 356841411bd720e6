"""What large windows hold, kept while they slide: the values' order, or how often each category is there.

Rows are those of very large groups, one group after the other, and windows come in the order of their ends; all that was kept of one group is
taken back before the next begins. As in the other kernels, everything works on plain addresses, without allocation, exceptions or Python objects.
"""

# mypy: ignore-errors
# (numba types this module)

from __future__ import annotations

from numba import types

from jdrec.engines.embedded.kernels.cells import float_key
from jdrec.engines.embedded.kernels.words import bump, kernel
from jdrec.engines.embedded.layout import ABSENT, Categories, Choice, Statistic
from jdrec.engines.embedded.memory import i32, i64, put

# --- the k-th smallest: a Fenwick tree over the ranks of the values that are there ---------------------------------------------


@kernel
def fenwick_add(tree, room, rank, by):
    place = rank + 1
    while place <= room:
        bump(tree, place, by)
        place += place & -place


@kernel
def fenwick_before(tree, rank):
    """How many are there of smaller rank."""
    result = types.int64(0)
    while rank > 0:
        result += i64(tree, rank)
        rank -= rank & -rank
    return result


@kernel
def fenwick_find(tree, room, number):
    """The rank of which so many smaller ones are there; `room` is a power of two."""
    place, step = types.int64(0), room
    while step > 0:
        if place + step <= room and i64(tree, place + step) <= number:
            place += step
            number -= i64(tree, place)
        step >>= 1
    return place


def select(ranks, rows, lows, highs, bases, owns, count, first, step, wanted, width, tree, room, out):
    """Rows of windows by their place in the order of values.

    Args (all int64, addresses where not said otherwise):
        ranks: int32 [rows]: each row's place in the order of its group.
        rows: int64 [rows]: the row of each rank, group after group.
        lows, highs: int64 [count]: the windows.
        bases: int64 [count]: the first row of the window's group.
        owns: int64 [count]: the rank before which the request's own value belongs; -1: it has none.
        count: how many windows.
        first, step, wanted: int64 [count]: of each window the places first, first + step, ..., so many.
        width: the most that any wants.
        tree: int64 [room + 1], zeros; room is a power of two, no less than the largest group's rows.
        out: int64 [count, width]: rows, -1 for the request's own value.
    """
    low = high = types.int64(0)
    for window in range(count):
        to_low, to_high = i64(lows, window), i64(highs, window)
        if to_low >= high or to_high <= low:  # nothing in common
            for row in range(low, high):
                fenwick_add(tree, room, types.int64(i32(ranks, row)), -1)
            low = high = to_low
        while low < to_low:
            fenwick_add(tree, room, types.int64(i32(ranks, low)), -1)
            low += 1
        while low > to_low:
            low -= 1
            fenwick_add(tree, room, types.int64(i32(ranks, low)), 1)
        while high < to_high:
            fenwick_add(tree, room, types.int64(i32(ranks, high)), 1)
            high += 1
        while high > to_high:
            high -= 1
            fenwick_add(tree, room, types.int64(i32(ranks, high)), -1)
        base, own = i64(bases, window), i64(owns, window)
        smaller = fenwick_before(tree, own) if own >= 0 else high - low
        place = i64(first, window)
        for number in range(i64(wanted, window)):
            if own >= 0 and place == smaller:
                put(out, window * width + number, -1)
            else:
                rank = fenwick_find(tree, room, place - 1 if place > smaller else place)
                put(out, window * width + number, i64(rows, base + rank))
            place += i64(step, window)


# --- categories: counts and sums, and a tree of maxima over them -----------------------------------------------------------------

(C_LEAVES, C_ADDS, C_LOWS, C_HIGHS, C_OWN_LEAVES, C_OWN_ADDS, C_COUNT) = (int(member) for member in list(Categories)[:7])
(C_STATISTIC, C_CHOICE, C_SHIFT, C_MOST, C_ROOM, C_STATE, C_FOUND, C_OUT) = (int(member) for member in list(Categories)[7:15])
S_COUNT, S_SUM, S_MEAN = (int(member) for member in Statistic)
BY_FREQUENCY, BY_VALUE, BY_KEY, ALL = (int(member) for member in Choice)


@kernel
def set_leaf(tree, room, leaf, key):
    """Changes a leaf of a tree in which each node is the larger one of those below it; the root is 1, leaves begin at `room`."""
    node = room + leaf
    put(tree, node, key)
    while node > 1:
        node >>= 1
        larger = max(i64(tree, 2 * node), i64(tree, 2 * node + 1))
        if i64(tree, node) == larger:
            return
        put(tree, node, larger)


@kernel
def largest_leaf(tree, room, last):
    """A leaf with the largest key, the first or the last of such."""
    node = types.int64(1)
    while node < room:
        node = 2 * node
        left, right = i64(tree, node), i64(tree, node + 1)
        if right > left or (last and right == left):
            node += 1
    return node - room


@kernel
def key_of_leaf(task, leaf):
    """What orders the categories that are there; ABSENT for others."""
    room, state = i64(task, C_ROOM), i64(task, C_STATE)
    count, total = i64(state, leaf), i64(state, room + leaf)
    if count == 0:
        return types.int64(ABSENT)
    if i64(task, C_STATISTIC) == S_COUNT:
        return count
    shift = i64(task, C_SHIFT)  # narrow integers wrap around
    total = (total << shift) >> shift
    return total if i64(task, C_STATISTIC) == S_SUM else float_key(types.float64(total) / count)


@kernel
def change(task, leaf, value, by):
    """Counts a row of a category in or out; returns by how much the number of categories grows."""
    if leaf < 0:
        return types.int64(0)
    room, state = i64(task, C_ROOM), i64(task, C_STATE)
    before = i64(state, leaf)
    put(state, leaf, before + by)
    put(state, room + leaf, i64(state, room + leaf) + by * value)
    if i64(task, C_CHOICE) <= BY_VALUE:
        set_leaf(state + 16 * room, room, leaf, key_of_leaf(task, leaf))
    return types.int64(before + by > 0) - types.int64(before > 0)


@kernel
def change_row(task, row, by):
    return change(task, types.int64(i32(i64(task, C_LEAVES), row)), i64(i64(task, C_ADDS), row), by)


@kernel
def give_leaf(task, window, number, leaf):
    """Writes a category, its count and its sum."""
    room, state = i64(task, C_ROOM), i64(task, C_STATE)
    out = i64(task, C_OUT) + 24 * (window * i64(task, C_MOST) + number)
    put(out, 0, leaf)
    put(out, 1, i64(state, leaf))
    put(out, 2, i64(state, room + leaf))


@kernel
def choose(task, window, categories):
    """Writes the categories of a window that are asked for."""
    room, state, wanted = i64(task, C_ROOM), i64(task, C_STATE), min(categories, i64(task, C_MOST))
    choice, tree = i64(task, C_CHOICE), i64(task, C_STATE) + 16 * room
    put(i64(task, C_FOUND), window, wanted)
    if choice <= BY_VALUE:
        for number in range(wanted):
            leaf = largest_leaf(tree, room, choice == BY_VALUE)
            give_leaf(task, window, number, leaf)
            set_leaf(tree, room, leaf, types.int64(ABSENT))
        for number in range(wanted):
            leaf = i64(i64(task, C_OUT), 3 * (window * i64(task, C_MOST) + number))
            set_leaf(tree, room, leaf, key_of_leaf(task, leaf))
        return
    found, leaf, step = types.int64(0), types.int64(0), types.int64(1)
    if choice == BY_KEY:
        leaf, step = room - 1, types.int64(-1)
    while found < wanted:
        if i64(state, leaf) > 0:
            give_leaf(task, window, found, leaf)
            found += 1
        leaf += step


def categories(task):
    """Counts and sums of categories in windows.

    Args:
        task: address of `layout.Categories`.
    """
    low = high = types.int64(0)
    known = types.int64(0)
    for window in range(i64(task, C_COUNT)):
        to_low, to_high = i64(i64(task, C_LOWS), window), i64(i64(task, C_HIGHS), window)
        if to_low >= high or to_high <= low:  # nothing in common
            for row in range(low, high):
                known += change_row(task, row, -1)
            low = high = to_low
        while low < to_low:
            known += change_row(task, low, -1)
            low += 1
        while low > to_low:
            low -= 1
            known += change_row(task, low, 1)
        while high < to_high:
            known += change_row(task, high, 1)
            high += 1
        while high > to_high:
            high -= 1
            known += change_row(task, high, -1)
        own, value = i64(i64(task, C_OWN_LEAVES), window), i64(i64(task, C_OWN_ADDS), window)
        known += change(task, own, value, 1)
        choose(task, window, known)
        known += change(task, own, value, -1)


ENTRY_POINTS = {
    "select": (select, types.void(*[types.int64] * 14)),
    "categories": (categories, types.void(types.int64)),
}

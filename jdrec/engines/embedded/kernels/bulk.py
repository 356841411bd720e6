"""The compiled part of building a store from whole tables: keys are looked up, rows scattered by key and put in order of time.

As in the other kernels, everything works on plain addresses, without allocation, exceptions or Python objects.
"""

# mypy: ignore-errors
# (numba types this module)

from __future__ import annotations

from numba import types

from jdrec.engines.embedded.kernels.words import kernel, small
from jdrec.engines.embedded.memory import i32, i64, put, put_i32, u8, word_at

EMPTY = -1  # a slot of an index that holds nothing; others hold 32 bits of the hash, then the number of the key
BLOCK = 64  # texts that are looked up together
SHORT_RUN = 16  # rows that are sooner put in order one by one
MIX = -7046029254386353131


# --- an index of keys: open addressing, no more than half full -----------------------------------------------------------------


@small
def mixed(word):
    """Spreads a key over all bits."""
    word = word * MIX
    return word ^ ((word >> 32) & 0xFFFFFFFF)


@kernel
def hash_text(data, start, end):
    """A hash of the bytes [start, end), eight at a time."""
    result = mixed(end - start)
    while end - start >= 8:
        result = mixed(result ^ word_at(data, start))
        start += 8
    tail = types.int64(0)
    while start < end:
        tail = (tail << 8) | types.int64(u8(data, start))
        start += 1
    return mixed(mixed(result ^ tail))


@kernel
def same_text(data, start, other, other_start, size):
    """Whether two texts of one size are the same."""
    while size >= 8:
        if word_at(data, start) != word_at(other, other_start):
            return False
        start, other_start, size = start + 8, other_start + 8, size - 8
    while size > 0:
        if u8(data, start) != u8(other, other_start):
            return False
        start, other_start, size = start + 1, other_start + 1, size - 1
    return True


@small
def tagged(hash_, number):
    """What a slot holds: the upper half of the hash, and the key's number."""
    return ((hash_ >> 32) << 32) | number


@kernel
def put_key(slots, mask, hash_, number):
    """Adds a key that the index has not."""
    slot = hash_ & mask
    while i64(slots, slot) != EMPTY:
        slot = (slot + 1) & mask
    put(slots, slot, tagged(hash_, number))


def index_texts(offsets, data, count, slots, mask):
    """Fills an index.

    Args (all int64, addresses where not said otherwise):
        offsets: int32 [count + 1], into data: different texts.
        slots: int64 [mask + 1], EMPTY; mask + 1 is a power of two, at least twice the count.
    """
    for number in range(count):
        put_key(slots, mask, hash_text(data, types.int64(i32(offsets, number)), types.int64(i32(offsets, number + 1))), number)


@kernel
def probe_text(data, start, end, hash_, known_offsets, known_data, slots, slot, mask):
    """The number of a text that is in the index from a slot on, -1 where it is not."""
    while i64(slots, slot) != EMPTY:
        held = i64(slots, slot)
        if (held >> 32) == (hash_ >> 32):
            number = held & 0xFFFFFFFF
            known = types.int64(i32(known_offsets, number))
            size = types.int64(i32(known_offsets, number + 1)) - known
            if size == end - start and same_text(data, start, known_data, known, size):
                return number
        slot = (slot + 1) & mask
    return types.int64(-1)


def find_texts(offsets, data, count, known_offsets, known_data, slots, mask, out, spare):
    """Writes the number of each text in the index, int32 [count], -1 where it is not there.

    A block of texts is looked up in steps, so that memory is asked for many of them at a time.

    Args:
        spare: int64 [3 * BLOCK], to work in.
    """
    held_of, seen = spare + 8 * BLOCK, spare + 16 * BLOCK
    for first in range(0, count, BLOCK):
        size = min(BLOCK, count - first)
        for place in range(size):
            start, end = types.int64(i32(offsets, first + place)), types.int64(i32(offsets, first + place + 1))
            put(spare, place, hash_text(data, start, end))
        for place in range(size):
            put(held_of, place, i64(slots, i64(spare, place) & mask))
        for place in range(size):
            held = i64(held_of, place)
            put(seen, place, types.int64(i32(known_offsets, types.int64(0) if held == EMPTY else held & 0xFFFFFFFF)))
        for place in range(size):
            put(seen, place, types.int64(u8(known_data, i64(seen, place))))
        for place in range(size):
            start, end = types.int64(i32(offsets, first + place)), types.int64(i32(offsets, first + place + 1))
            hash_ = i64(spare, place)
            found = probe_text(data, start, end, hash_, known_offsets, known_data, slots, hash_ & mask, mask)
            put_i32(out, first + place, types.int32(found))


def number_texts(offsets, data, count, slots, mask, firsts, out, spare):
    """Numbers texts by value in the order in which they come, and fills an index of them.

    Args:
        slots: as of `index_texts`, at least twice the count.
        firsts: int32 [count], the first row of each number.
        out: int32 [count], the numbers.
        spare: int64 [2 * BLOCK], to work in.

    Returns:
        How many different ones there are.
    """
    known, seen = types.int64(0), spare + 8 * BLOCK
    for first in range(0, count, BLOCK):
        size = min(BLOCK, count - first)
        for place in range(size):
            start, end = types.int64(i32(offsets, first + place)), types.int64(i32(offsets, first + place + 1))
            put(spare, place, hash_text(data, start, end))
        for place in range(size):
            put(seen, place, i64(slots, i64(spare, place) & mask))
        for place in range(size):
            hash_, row = i64(spare, place), first + place
            start, end = types.int64(i32(offsets, row)), types.int64(i32(offsets, row + 1))
            slot, found = hash_ & mask, types.int64(-1)
            while i64(slots, slot) != EMPTY and found < 0:
                held = i64(slots, slot)
                if (held >> 32) == (hash_ >> 32):
                    number = held & 0xFFFFFFFF
                    other = types.int64(i32(firsts, number))
                    other_start, other_end = types.int64(i32(offsets, other)), types.int64(i32(offsets, other + 1))
                    if other_end - other_start == end - start and same_text(data, start, data, other_start, end - start):
                        found = number
                slot = (slot + 1) & mask
            if found < 0:
                found = known
                put(slots, slot, tagged(hash_, known))
                put_i32(firsts, known, types.int32(row))
                known += 1
            put_i32(out, row, types.int32(found))
    return known


def index_words(words, count, slots, mask):
    """As `index_texts`, of different int64 words."""
    for number in range(count):
        put_key(slots, mask, mixed(mixed(i64(words, number))), number)


def find_words(words, count, known, slots, mask, out):
    """As `find_texts`, of int64 words."""
    for row in range(count):
        word = i64(words, row)
        hash_ = mixed(mixed(word))
        slot, found = hash_ & mask, types.int64(-1)
        while i64(slots, slot) != EMPTY:
            number = i64(slots, slot) & 0xFFFFFFFF
            if i64(known, number) == word:
                found = number
                break
            slot = (slot + 1) & mask
        put_i32(out, row, types.int32(found))


# --- rows by group and time ----------------------------------------------------------------------------------------------------


def scatter_rows(group, times, words, width, count, next_, out_times, out_words, places):
    """Puts rows to the others of their groups, in the order in which they come.

    Args (all int64, addresses where not said otherwise):
        group: int32 [count].
        times: int64 [count].
        words: int64 [count, width], the rows' values.
        next_: int64 [groups], where each group's next row goes; moved on.
        out_times, out_words: the same of all rows.
        places: int64 [count], where each row went; or 0.
    """
    for row in range(count):
        number = types.int64(i32(group, row))
        place = i64(next_, number)
        put(next_, number, place + 1)
        put(out_times, place, i64(times, row))
        for word in range(width):
            put(out_words, place * width + word, i64(words, row * width + word))
        if places != 0:
            put(places, row, place)


@kernel
def insert_sorted(times, rows, low, high):
    """Puts rows [low, high) in order of time, equal ones as they are."""
    for place in range(low + 1, high):
        time, row, free = i64(times, place), i32(rows, place), place
        while free > low and i64(times, free - 1) > time:
            put(times, free, i64(times, free - 1))
            put_i32(rows, free, i32(rows, free - 1))
            free -= 1
        put(times, free, time)
        put_i32(rows, free, row)


@kernel
def merge_runs(times, rows, low, middle, high, to_times, to_rows, to):
    """Merges two runs in order into another place; of equal times the first run's come first."""
    left, right = low, middle
    while left < middle or right < high:
        if right >= high or (left < middle and i64(times, left) <= i64(times, right)):
            taken = left
            left += 1
        else:
            taken = right
            right += 1
        put(to_times, to, i64(times, taken))
        put_i32(to_rows, to, i32(rows, taken))
        to += 1


@kernel
def sort_rows(times, rows, low, high, spare_times, spare_rows):
    """Puts rows [low, high) in order of time, equal ones as they are; work as n log n."""
    ordered = True
    for place in range(low + 1, high):
        if i64(times, place - 1) > i64(times, place):
            ordered = False
            break
    if ordered:
        return
    start = low
    while start < high:
        insert_sorted(times, rows, start, min(start + SHORT_RUN, high))
        start += SHORT_RUN
    width, count = types.int64(SHORT_RUN), high - low
    while width < count:
        start = types.int64(0)
        while start < count:
            middle, end = min(start + width, count), min(start + 2 * width, count)
            merge_runs(times, rows, low + start, low + middle, low + end, spare_times, spare_rows, start)
            start += 2 * width
        for place in range(count):
            put(times, low + place, i64(spare_times, place))
            put_i32(rows, low + place, i32(spare_rows, place))
        width *= 2


def sort_groups(begins, ends, first, last, times, rows, spare_times, spare_rows):
    """Puts the rows of groups first to last in order of time, equal ones as they are.

    Args (all int64, addresses where not said otherwise):
        begins, ends: int64 [groups], the rows of each.
        first, last: numbers of groups.
        times, rows: int64 and int32 [all rows], put in order.
        spare_times, spare_rows: the same of the largest group's length, to work in.
    """
    for group in range(first, last):
        low, high = i64(begins, group), i64(ends, group)
        if high - low > 1:
            sort_rows(times, rows, low, high, spare_times, spare_rows)


def _void(arguments):
    return types.void(*[types.int64] * arguments)


ENTRY_POINTS = {
    "index_texts": (index_texts, _void(5)),
    "find_texts": (find_texts, _void(9)),
    "number_texts": (number_texts, types.int64(*[types.int64] * 8)),
    "index_words": (index_words, _void(4)),
    "find_words": (find_words, _void(6)),
    "scatter_rows": (scatter_rows, _void(9)),
    "sort_groups": (sort_groups, _void(8)),
}

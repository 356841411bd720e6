"""The compiled part of a store that takes rows as they come: each group's rows lie in a slab with room to grow.

As in the other kernels, everything works on plain addresses and the int64 words of `layout`, without allocation, exceptions or Python objects.
"""

# mypy: ignore-errors
# (numba types this module)

from __future__ import annotations

from numba import types

from jdrec.engines.embedded.kernels.slices import rows_before
from jdrec.engines.embedded.kernels.words import bump, kernel, small
from jdrec.engines.embedded.layout import Slab, SlabColumn, Ttl, TtlRule
from jdrec.engines.embedded.memory import i16, i32, i64, put, put_i16, put_i32, put_u8, u8

(B_TIMES, B_ROLES, B_BEGINS, B_ENDS, B_STARTS, B_ROOMS, B_CAPACITY, B_USED, B_FREE) = (int(member) for member in list(Slab)[:9])
(B_COLUMNS, B_COLUMN_COUNT, B_LONGEST, B_TTLS, B_ROLE_COUNT, B_LIVE) = (int(member) for member in list(Slab)[9:15])
D_DATA, D_VALID, D_SIZE, D_WIDTH = (int(member) for member in SlabColumn)
L_RULE, L_AGE_MS, L_ROWS, L_WIDTH = (int(member) for member in Ttl)
FOREVER, ABSOLUTE, LATEST, ABSORLAT, ABSANDLAT = (int(member) for member in TtlRule)
EXPIRED = 128  # marks a role


# --- cells -----------------------------------------------------------------------------------------------------------------


@small
def copy_cell(to, to_row, source, row, size):
    if size == 4:
        put_i32(to, to_row, i32(source, row))
    elif size == 8:
        put(to, to_row, i64(source, row))
    elif size == 1:
        put_u8(to, to_row, u8(source, row))
    else:
        put_i16(to, to_row, i16(source, row))


@kernel
def shift_cells(data, size, start, end, by):
    """Moves cells [start, end) of a column by so many rows; the places may overlap."""
    if by > 0:
        for row in range(end - 1, start - 1, -1):
            copy_cell(data, row + by, data, row, size)
    else:
        for row in range(start, end):
            copy_cell(data, row + by, data, row, size)


@kernel
def shift_rows(slab, start, end, by):
    """Moves rows [start, end) by so many places, forward or back."""
    shift_cells(i64(slab, B_TIMES), 8, start, end, by)
    if i64(slab, B_ROLES) != 0:
        shift_cells(i64(slab, B_ROLES), 1, start, end, by)
    for number in range(i64(slab, B_COLUMN_COUNT)):
        column = i64(slab, B_COLUMNS) + 8 * D_WIDTH * number
        shift_cells(i64(column, D_DATA), i64(column, D_SIZE), start, end, by)
        if i64(column, D_VALID) != 0:
            shift_cells(i64(column, D_VALID), 1, start, end, by)


# --- slabs -----------------------------------------------------------------------------------------------------------------


@kernel
def class_of(rows):
    """The largest n with 2**n <= rows."""
    result = types.int64(0)
    while (rows >> (result + 1)) > 0:
        result += 1
    return result


@kernel
def take_slab(slab, size_class):
    """The first row of a slab of 2**size_class rows; -1 where the arrays are full."""
    free = i64(slab, B_FREE)
    found = i64(free, size_class)
    if found >= 0:
        put(free, size_class, i64(i64(slab, B_TIMES), found))
        return found
    used = i64(slab, B_USED)
    room = types.int64(1) << size_class
    if used + room > i64(slab, B_CAPACITY):
        return types.int64(-1)
    put(slab, B_USED, used + room)
    return used


@kernel
def free_slab(slab, start, room):
    """Keeps a slab for others. What it has beyond a power of two is not used again."""
    if room > 0:
        free, size_class = i64(slab, B_FREE), class_of(room)
        put(i64(slab, B_TIMES), start, i64(free, size_class))
        put(free, size_class, start)


@kernel
def make_room(slab, group):
    """Sees to it that a row can be added at the end of a group's rows. False where the arrays are full."""
    begins, ends, starts, rooms = i64(slab, B_BEGINS), i64(slab, B_ENDS), i64(slab, B_STARTS), i64(slab, B_ROOMS)
    begin, end, start, room = i64(begins, group), i64(ends, group), i64(starts, group), i64(rooms, group)
    if end - start < room:
        return True
    size = end - begin
    if begin > start and (room <= 64 or (begin - start) * 8 >= room):  # expired rows left enough of it
        shift_rows(slab, begin, end, start - begin)
        place = start
    else:
        size_class = types.int64(0) if size == 0 else class_of(size) + 1
        place = take_slab(slab, size_class)
        if place < 0:
            return False
        shift_rows(slab, begin, end, place - begin)
        free_slab(slab, start, room)
        put(starts, group, place)
        put(rooms, group, types.int64(1) << size_class)
    put(begins, group, place)
    put(ends, group, place + size)
    return True


def insert_rows(slab, groups, times, role, cells, first, rows):
    """Inserts rows in order of arrival, each after those of its group that are not newer.

    Args (all int64, addresses where not said otherwise):
        slab: `layout.Slab`.
        groups: int32 [rows]; rows of group -1 are left out.
        times: int64 [rows].
        role: where the rows come from.
        cells: int64 [columns, SlabColumn.WIDTH]: the rows' values; without validity bytes all are valid.
        first, rows: the rows from `first` on are inserted.

    Returns:
        How many rows are done; fewer than `rows` where the arrays are full.
    """
    for row in range(first, rows):
        group = types.int64(i32(groups, row))
        if group < 0:
            continue
        if not make_room(slab, group):
            return row
        begin, end = i64(i64(slab, B_BEGINS), group), i64(i64(slab, B_ENDS), group)
        stored, roles, time = i64(slab, B_TIMES), i64(slab, B_ROLES), i64(times, row)
        place = end
        if begin < end and i64(stored, end - 1) >= time:
            place = rows_before(stored, begin, end, time + 1)
            if roles != 0:
                while place > begin and i64(stored, place - 1) == time and types.int64(u8(roles, place - 1)) > role:
                    place -= 1
            if place < end:
                shift_rows(slab, place, end, types.int64(1))
        put(stored, place, time)
        if roles != 0:
            put_u8(roles, place, types.uint8(role))
        for number in range(i64(slab, B_COLUMN_COUNT)):
            column, cell = i64(slab, B_COLUMNS) + 8 * D_WIDTH * number, cells + 8 * D_WIDTH * number
            copy_cell(i64(column, D_DATA), place, i64(cell, D_DATA), row, i64(column, D_SIZE))
            if i64(column, D_VALID) != 0:
                valid = i64(cell, D_VALID)
                put_u8(i64(column, D_VALID), place, types.uint8(1) if valid == 0 else u8(valid, row))
        put(i64(slab, B_ENDS), group, end + 1)
        put(slab, B_LONGEST, max(i64(slab, B_LONGEST), end + 1 - begin))
        bump(slab, B_LIVE, 1)
    return rows


# --- time to live ----------------------------------------------------------------------------------------------------------


@kernel
def first_kept(slab, group, ttl, now):
    """The first row of a group of one role that has not expired."""
    begin, end = i64(i64(slab, B_BEGINS), group), i64(i64(slab, B_ENDS), group)
    rule, age, rows = i64(ttl, L_RULE), i64(ttl, L_AGE_MS), i64(ttl, L_ROWS)
    old, surplus = begin, begin
    if age > 0:
        old = rows_before(i64(slab, B_TIMES), begin, end, now - age + 1)
    if rows > 0:
        surplus = max(begin, end - rows)
    if rule == ABSANDLAT:
        return min(old, surplus)
    return max(old, surplus)


@kernel
def mark_expired(slab, group, role, ttl, now):
    """Marks the expired rows of one role; returns how many there are."""
    begin, end = i64(i64(slab, B_BEGINS), group), i64(i64(slab, B_ENDS), group)
    rule, age, rows = i64(ttl, L_RULE), i64(ttl, L_AGE_MS), i64(ttl, L_ROWS)
    times, roles = i64(slab, B_TIMES), i64(slab, B_ROLES)
    seen, marked = types.int64(0), types.int64(0)
    for row in range(end - 1, begin - 1, -1):
        if types.int64(u8(roles, row)) == role:
            seen += 1
            old = age > 0 and i64(times, row) <= now - age
            surplus = rows > 0 and seen > rows
            if (old and surplus) if rule == ABSANDLAT else (old or surplus):
                put_u8(roles, row, types.uint8(role + EXPIRED))
                marked += 1
    return marked


@kernel
def expire_group(slab, group, now):
    """Drops the expired rows of a group; returns how many there were."""
    begins, ends = i64(slab, B_BEGINS), i64(slab, B_ENDS)
    begin, end = i64(begins, group), i64(ends, group)
    if begin == end:
        return types.int64(0)
    dropped = types.int64(0)
    if i64(slab, B_ROLES) == 0:
        kept = first_kept(slab, group, i64(slab, B_TTLS), now)
        dropped = kept - begin
        put(begins, group, kept)
    else:
        for role in range(i64(slab, B_ROLE_COUNT)):
            ttl = i64(slab, B_TTLS) + 8 * L_WIDTH * role
            if i64(ttl, L_RULE) != FOREVER:
                dropped += mark_expired(slab, group, role, ttl, now)
        if dropped > 0:
            roles, place = i64(slab, B_ROLES), begin
            for row in range(begin, end):
                if u8(roles, row) < EXPIRED:
                    if place < row:
                        shift_rows(slab, row, row + 1, place - row)
                    place += 1
            put(ends, group, place)
    bump(slab, B_LIVE, -dropped)
    if i64(begins, group) == i64(ends, group):
        free_slab(slab, i64(i64(slab, B_STARTS), group), i64(i64(slab, B_ROOMS), group))
        for words in (begins, ends, i64(slab, B_STARTS), i64(slab, B_ROOMS)):
            put(words, group, 0)
    return dropped


def expire_rows(slab, first, last, now):
    """Drops the expired rows of groups `first` to `last` at a time in milliseconds; returns how many there were."""
    dropped = types.int64(0)
    if i64(slab, B_TTLS) != 0:
        for group in range(first, last):
            dropped += expire_group(slab, group, now)
    return dropped


ENTRY_POINTS = {
    "insert_rows": (insert_rows, types.int64(*[types.int64] * 7)),
    "expire_rows": (expire_rows, types.int64(*[types.int64] * 4)),
}

"""Protobuf's wire format, and a table from hashes to rows, for compiled loops. Nothing here raises."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.compiled import inlined, kernel

Bytes = NDArray[np.uint8]
UInt64 = NDArray[np.uint64]
Int64 = NDArray[np.int64]

Index = Any
"""A whole number: int64 in compiled code, int or numpy.int64 without."""

EMPTY = -1
"""Row of a series that is not known."""
IGNORED = 1 << 62
"""Row of a series that is known and not kept."""
NATIVE = 1 << 61
"""From here on, rows number series of native histograms, which the caller keeps apart."""
VACANT = np.uint64((1 << 64) - 1)
"""In the table's row column: nobody is here."""

SEED_A = np.uint64(0x9E3779B97F4A7C15)
SEED_B = np.uint64(0xC2B2AE3D27D4EB4F)
LOW7 = np.uint64(0x7F)
_SIGN = np.uint64(1 << 63)
_LARGEST = np.uint64((1 << 31) - 1)
_LARGEST_TAG = np.uint64((1 << 32) - 1)
_29, _32 = np.uint64(29), np.uint64(32)


@inlined
def varint(data: Bytes, at: Index, end: Index) -> tuple[np.uint64, Index]:
    """Value and the position after it; the position is −1 when it is cut off or longer than ten bytes."""
    if 0 <= at < end and data[at] < 128:  # nearly always
        return np.uint64(data[at]), at + 1
    value = np.uint64(0)
    shift = np.uint64(0)
    for step in range(10):
        if at + step >= end:
            return value, -1
        byte = np.uint64(data[at + step])
        value |= (byte & LOW7) << shift
        if byte <= LOW7:
            return value, at + step + 1
        shift += np.uint64(7)
    return value, -1


@inlined
def field(data: Bytes, at: Index, end: Index) -> tuple[Index, Index, Index, Index]:
    """Next field: number, wire type, where its payload begins, where it ends (−1: malformed)."""
    tag, at = varint(data, at, end)
    if at < 0 or tag > _LARGEST_TAG or tag < np.uint64(8):
        return 0, 0, 0, -1
    number, wire = np.int64(tag >> np.uint64(3)), np.int64(tag & np.uint64(7))
    stop = -1
    if wire == 0:
        _, stop = varint(data, at, end)
    elif wire == 1:
        stop = at + 8
    elif wire == 5:
        stop = at + 4
    elif wire == 2:
        size, at = varint(data, at, end)
        if at >= 0 and size <= _LARGEST:
            stop = at + np.int64(size)
    return number, wire, at, stop if stop <= end else -1


@kernel
def varints(data: Bytes, begin: Index, stop: Index, wire: Index, into: UInt64, count: Index) -> Index:
    """Append a repeated varint field, packed or not; how many there are then, −1 when malformed."""
    if wire != 0 and wire != 2:
        return count
    while begin < stop:
        into[count], begin = varint(data, begin, stop)
        if begin < 0:
            return -1
        count += 1
    return count


@inlined
def word(data: Bytes, at: Index) -> np.uint64:
    """Eight bytes, little-endian. Written out, with unsigned positions, so that the compiler makes one load of it."""
    first = np.uint64(at)
    return (
        np.uint64(data[first])
        | np.uint64(data[first + np.uint64(1)]) << np.uint64(8)
        | np.uint64(data[first + np.uint64(2)]) << np.uint64(16)
        | np.uint64(data[first + np.uint64(3)]) << np.uint64(24)
        | np.uint64(data[first + np.uint64(4)]) << np.uint64(32)
        | np.uint64(data[first + np.uint64(5)]) << np.uint64(40)
        | np.uint64(data[first + np.uint64(6)]) << np.uint64(48)
        | np.uint64(data[first + np.uint64(7)]) << np.uint64(56)
    )


@kernel
def signed(value: np.uint64) -> Index:
    """Two's complement of 64 bits."""
    if value >= _SIGN:
        return -np.int64(~value) - 1
    return np.int64(value)


@kernel
def digest(data: Bytes, start: Index, stop: Index, a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Fold bytes into two hashes, their number included, so that no two label lists read alike."""
    a = (a ^ np.uint64(stop - start)) * SEED_A
    b = (b + np.uint64(stop - start)) * SEED_B
    at = start
    while at + 16 <= stop:  # two lanes, so that neither waits for the other
        a = (a ^ word(data, at)) * SEED_A
        a ^= a >> _32
        b = (b ^ word(data, at + 8)) * SEED_B
        b ^= b >> _29
        at += 16
    tail = np.uint64(0)
    if stop - start >= 16:  # the last bytes, again if they were in a lane: no branch hangs on their number
        a = (a ^ word(data, stop - 16)) * SEED_A
        a ^= a >> _32
        tail = word(data, stop - 8)
    else:
        if at + 8 <= stop:
            a = (a ^ word(data, at)) * SEED_A
            a ^= a >> _32
            at += 8
        while at < stop:
            tail = (tail << np.uint64(8)) | np.uint64(data[at])
            at += 1
    b = (b ^ tail) * SEED_B
    b ^= b >> _29
    a = (a ^ (b >> _32)) * SEED_A
    a ^= a >> _29
    return a, b


@kernel
def key(labels: Bytes) -> tuple[np.uint64, np.uint64]:
    """Hashes of a series by its label fields in one piece, as :func:`series` computes them."""
    return digest(labels, 0, len(labels), SEED_B, SEED_A)


@inlined
def find(table: UInt64, a: np.uint64, b: np.uint64) -> tuple[Index, Index]:
    """The series' row (``EMPTY`` when unknown) and the slot where it is or would be."""
    mask = len(table) - 1
    slot = np.int64((a ^ (b >> _32)) & np.uint64(mask))
    row = np.int64(EMPTY)
    while table[slot, 2] != VACANT:
        if table[slot, 0] == a and table[slot, 1] == b:
            row = np.int64(table[slot, 2])
            break
        slot = (slot + 1) & mask
    return row, slot


@kernel
def row_of(table: UInt64, a: np.uint64, b: np.uint64) -> Index:
    """The series' row; ``EMPTY`` when unknown."""
    row, _ = find(table, a, b)
    return row


@kernel
def insert(table: UInt64, a: np.uint64, b: np.uint64, row: Index) -> None:
    """Put a key into the table; a known one changes its row."""
    _, slot = find(table, a, b)
    table[slot, 0], table[slot, 1] = a, b
    table[slot, 2] = np.uint64(row)


@kernel
def insert_all(table: UInt64, keys: UInt64, rows: Int64) -> None:
    """Put ``keys: uint64[new, 2]`` into the table."""
    for index in range(len(rows)):
        insert(table, keys[index, 0], keys[index, 1], rows[index])

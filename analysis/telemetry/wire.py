"""The inner loop of remote_write 1.0: protobuf bytes to (series, time, value) without an object per series.

A series is known by 128 bits of hash over its label bytes, looked up in an open-addressing table; only series that were
never seen leave the loop, with the span of their bytes. Nothing here raises: a malformed message is an error code.
"""

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
VACANT = np.uint64((1 << 64) - 1)
"""In the table's row column: nobody is here."""

_A = np.uint64(0x9E3779B97F4A7C15)
_B = np.uint64(0xC2B2AE3D27D4EB4F)
_LOW = np.uint64(0x7F)
_SIGN = np.uint64(1 << 63)
_LARGEST = np.uint64((1 << 31) - 1)
_LARGEST_TAG = np.uint64((1 << 32) - 1)
_29, _32 = np.uint64(29), np.uint64(32)
_LABEL, _VALUE, _TIME = 0x0A, 0x09, 0x10
"""Tags as they stand in the bytes: a TimeSeries' label, a Sample's value and time."""
_USUAL = 16
"""Bytes of a Sample with a present-day time: 1 + 8 for the value, 1 + 6 for the time."""


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
        value |= (byte & _LOW) << shift
        if byte <= _LOW:
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
    a = (a ^ np.uint64(stop - start)) * _A
    b = (b + np.uint64(stop - start)) * _B
    at = start
    while at + 16 <= stop:  # two lanes, so that neither waits for the other
        a = (a ^ word(data, at)) * _A
        a ^= a >> _32
        b = (b ^ word(data, at + 8)) * _B
        b ^= b >> _29
        at += 16
    if at + 8 <= stop:
        a = (a ^ word(data, at)) * _A
        a ^= a >> _32
        at += 8
    tail = np.uint64(0)
    while at < stop:
        tail = (tail << np.uint64(8)) | np.uint64(data[at])
        at += 1
    b = (b ^ tail) * _B
    b ^= b >> _29
    a = (a ^ (b >> _32)) * _A
    a ^= a >> _29
    return a, b


@kernel
def key(labels: Bytes) -> tuple[np.uint64, np.uint64]:
    """Hashes of a series by its label fields in one piece, as :func:`series` computes them."""
    return digest(labels, 0, len(labels), _B, _A)


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
def insert_all(table: UInt64, keys: UInt64, rows: Int64) -> None:
    """Put ``keys: uint64[new, 2]`` into the table; a known key changes its row."""
    for index in range(len(rows)):
        _, slot = find(table, keys[index, 0], keys[index, 1])
        table[slot, 0], table[slot, 1] = keys[index, 0], keys[index, 1]
        table[slot, 2] = np.uint64(rows[index])


@inlined
def sample(data: Bytes, at: Index, end: Index) -> tuple[np.uint64, Index, Index]:
    """Bits of the value, milliseconds, and 0 or −1 for malformed. Of repeated fields the last counts."""
    bits, millis = np.uint64(0), 0
    if end - at == _USUAL and data[at] == _VALUE and data[at + 9] == _TIME and data[end - 1] < 128:
        raw, shift, stop = np.uint64(0), np.uint64(0), at + 10
        while data[stop] >= 128:
            raw |= (np.uint64(data[stop]) & _LOW) << shift
            shift += np.uint64(7)
            stop += 1
        if stop == end - 1:
            return word(data, at + 1), np.int64(raw | np.uint64(data[stop]) << shift), 0
    while at < end:
        number, wire, start, stop = field(data, at, end)
        if stop < 0:
            return bits, millis, -1
        if number == 1 and wire == 1:
            bits = word(data, start)
        elif number == 2 and wire == 0:
            raw, _ = varint(data, start, stop)
            millis = signed(raw)
        at = stop
    return bits, millis, 0


@kernel
def _piece(
    data: Bytes, run: Index, run_end: Index, begin: Index, a: np.uint64, b: np.uint64, pieces: Index
) -> tuple[np.uint64, np.uint64, Index, Index]:
    """Labels go on at ``begin``: fold what came before, if anything did."""
    if run_end > run:
        a, b = digest(data, run, run_end, a, b)
        pieces += 1
    return a, b, begin, pieces


@kernel
def labels_read(data: Bytes, at: Index, end: Index) -> bool:
    """Whether the label messages among these fields are well-formed; looked at once per new series."""
    while at < end:
        number, wire, begin, stop = field(data, at, end)
        if stop < 0:
            return False
        at = stop
        while number == 1 and wire == 2 and begin < stop:
            _, _, _, after = field(data, begin, stop)
            if after < 0:
                return False
            begin = after
    return True


@inlined
def series(
    data: Bytes, at: Index, end: Index, bits: UInt64, millis: Int64, count: Index
) -> tuple[Index, np.uint64, np.uint64, Index, Index, Index]:
    """Read a TimeSeries: samples read so far (−1: malformed), two hashes, the labels' span, pieces before it."""
    a, b = _B, _A
    pieces, run, run_end = 0, at, at  # labels lie side by side: they are hashed as one piece
    while at < end:
        before = at
        if data[at] == _LABEL and at + 1 < end and data[at + 1] < 128:  # the usual shape, at once
            number, wire, begin = 1, 2, at + 2
            at = begin + np.int64(data[at + 1])
            if at > end:
                return -1, a, b, run, run_end, pieces
        else:
            number, wire, begin, at = field(data, at, end)
            if at < 0:
                return -1, a, b, run, run_end, pieces
        if number == 1 and wire == 2:
            if before != run_end:
                a, b, run, pieces = _piece(data, run, run_end, before, a, b, pieces)
            run_end = at
        elif number == 2 and wire == 2:
            bits[count], millis[count], status = sample(data, begin, at)
            if status < 0:
                return -1, a, b, run, run_end, pieces
            count += 1
    a, b = digest(data, run, run_end, a, b)
    return count, a, b, run, run_end, pieces


@kernel
def decode(
    data: Bytes,
    table: UInt64,
    rows: Int64,
    bits: UInt64,
    millis: Int64,
    spans: Int64,
    keys: UInt64,
) -> tuple[Index, Index, Index]:
    """Read a WriteRequest.

    Args:
        data: ``uint8[bytes]``, uncompressed.
        table: ``uint64[slots, 3]``, two hashes and the row; ``slots`` is a power of two.
        rows, bits, millis: filled, one per sample. A new series' row is ``−2 − its position in spans``.
        spans: ``int64[new, 3]`` filled for unknown series: the byte span of the labels and 0, or, when the
            labels do not lie in one piece, that of the whole TimeSeries message and a positive number.
        keys: ``uint64[new, 2]`` filled with their hashes.

    Returns:
        Samples read, new series seen, and 0, or −1 for a malformed message.
    """
    count, fresh, at, end = 0, 0, 0, len(data)
    while at < end:
        number, wire, start, stop = field(data, at, end)
        if stop < 0:
            return count, fresh, -1
        at = stop
        if number != 1 or wire != 2:
            continue
        first = count
        count, a, b, run, run_end, pieces = series(data, start, stop, bits, millis, first)
        if count < 0:
            return first, fresh, -1
        row, _ = find(table, a, b)
        if row == EMPTY:
            if not labels_read(data, start, stop):
                return first, fresh, -1
            spans[fresh, 0], spans[fresh, 1] = (start, stop) if pieces else (run, run_end)
            spans[fresh, 2] = pieces
            keys[fresh, 0], keys[fresh, 1] = a, b
            row = -2 - fresh
            fresh += 1
        rows[first:count] = row
    return count, fresh, 0

"""The inner loop of remote_write 1.0: protobuf bytes to (series, time, value) without an object per series.

A series is known by 128 bits of hash over its label bytes, looked up in an open-addressing table; only series that were
never seen leave the loop, with the span of their bytes. Nothing here raises: a malformed message is an error code.
"""

from __future__ import annotations

import numpy as np

from analysis.compiled import inlined, kernel
from analysis.telemetry.wire import (
    EMPTY,
    LOW7,
    SEED_A,
    SEED_B,
    Bytes,
    Index,
    Int64,
    UInt64,
    digest,
    field,
    find,
    signed,
    varint,
    word,
)

Place = tuple[Index, Index, Index, Index]
"""Of a new series: see ``spans`` of :func:`decode`."""

_LABEL, _VALUE, _TIME = 0x0A, 0x09, 0x10
"""Tags as they stand in the bytes: a TimeSeries' label, a Sample's value and time."""
_USUAL = 16
"""Bytes of a Sample with a present-day time: 1 + 8 for the value, 1 + 6 for the time."""
_HISTOGRAMS = np.uint64(0x9FB21C651E98DF25)
"""Tells the histograms of a series from its samples: they are two series that have the same labels."""


@inlined
def sample(data: Bytes, at: Index, end: Index) -> tuple[np.uint64, Index, Index]:
    """Bits of the value, milliseconds, and 0 or −1 for malformed. Of repeated fields the last counts."""
    bits, millis = np.uint64(0), 0
    if end - at == _USUAL and data[at] == _VALUE and data[at + 9] == _TIME and data[end - 1] < 128:
        raw, shift, stop = np.uint64(0), np.uint64(0), at + 10
        while data[stop] >= 128:
            raw |= (np.uint64(data[stop]) & LOW7) << shift
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
    data: Bytes, at: Index, end: Index, bits: UInt64, millis: Int64, count: Index, found: Int64, histograms: Index
) -> tuple[Index, Index, np.uint64, np.uint64, Index, Index, Index]:
    """Read a TimeSeries.

    Returns:
        Samples (−1: malformed) and histograms read so far, two hashes, the labels' span, pieces before it.
    """
    a, b = SEED_B, SEED_A
    pieces, run, run_end = 0, at, at  # labels lie side by side: they are hashed as one piece
    while at < end:
        before = at
        if data[at] == _LABEL and at + 1 < end and data[at + 1] < 128:  # the usual shape, at once
            number, wire, begin = 1, 2, at + 2
            at = begin + np.int64(data[at + 1])
        else:
            number, wire, begin, at = field(data, at, end)
        if at < 0 or at > end:
            return -1, histograms, a, b, run, run_end, pieces
        if wire != 2:
            continue
        if number == 1:
            if before != run_end:
                a, b, run, pieces = _piece(data, run, run_end, before, a, b, pieces)
            run_end = at
        elif number == 2:
            bits[count], millis[count], status = sample(data, begin, at)
            if status < 0:
                return -1, histograms, a, b, run, run_end, pieces
            count += 1
        elif number == 4:
            found[histograms, 1], found[histograms, 2] = begin, at
            histograms += 1
    a, b = digest(data, run, run_end, a, b)
    return count, histograms, a, b, run, run_end, pieces


@kernel
def _new(data: Bytes, a: np.uint64, b: np.uint64, fresh: Index, spans: Int64, keys: UInt64, place: Place) -> Index:
    """Note a series that is not known; its row, ``EMPTY`` when its labels are malformed."""
    if not labels_read(data, place[0], place[1]):
        return EMPTY
    spans[fresh, 0], spans[fresh, 1], spans[fresh, 2], spans[fresh, 3] = place
    keys[fresh, 0], keys[fresh, 1] = a, b
    return -2 - fresh


@kernel
def decode(  # noqa: C901 - taken apart it is half as fast
    data: Bytes,
    table: UInt64,
    rows: Int64,
    bits: UInt64,
    millis: Int64,
    spans: Int64,
    keys: UInt64,
    found: Int64,
) -> tuple[Index, Index, Index, Index]:
    """Read a WriteRequest.

    Args:
        data: ``uint8[bytes]``, uncompressed.
        table: ``uint64[slots, 3]``, two hashes and the row; ``slots`` is a power of two.
        rows, bits, millis: filled, one per sample. A new series' row is ``−2 − its position in spans``.
        spans: ``int64[new, 4]`` filled for unknown series: the byte span of the labels and 0, or, when the
            labels do not lie in one piece, that of the whole TimeSeries message and a positive number; then 1 for
            a series of histograms.
        keys: ``uint64[new, 2]`` filled with their hashes.
        found: ``int64[histogram, 3]`` filled with the row and byte span of each native histogram.

    Returns:
        Samples and histograms read, new series seen, and 0, or −1 for a malformed message.
    """
    count, histograms, fresh, at, end = 0, 0, 0, 0, len(data)
    while at < end:
        number, wire, start, stop = field(data, at, end)
        if stop < 0:
            return count, histograms, fresh, -1
        at = stop
        if number != 1 or wire != 2:
            continue
        first, first_histogram = count, histograms
        count, histograms, a, b, run, run_end, pieces = series(
            data, start, stop, bits, millis, first, found, histograms
        )
        if count < 0:
            return first, first_histogram, fresh, -1
        if pieces:
            run, run_end = start, stop
        if count > first or histograms == first_histogram:
            row, _ = find(table, a, b)
            if row == EMPTY:
                row = _new(data, a, b, fresh, spans, keys, (run, run_end, pieces, 0))
                fresh += 1
            if row == EMPTY:
                return first, first_histogram, fresh, -1
            rows[first:count] = row
        if histograms > first_histogram:
            row, _ = find(table, a ^ _HISTOGRAMS, b)
            if row == EMPTY:
                row = _new(data, a ^ _HISTOGRAMS, b, fresh, spans, keys, (run, run_end, pieces, 1))
                fresh += 1
            if row == EMPTY:
                return first, first_histogram, fresh, -1
            found[first_histogram:histograms, 0] = row
    return count, histograms, fresh, 0

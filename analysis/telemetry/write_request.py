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
"""Of a series: see ``spans`` of :func:`read`."""

_LABEL, _SAMPLE, _VALUE = 0x0A, 0x12, 0x09
"""Tags as they stand in the bytes: a TimeSeries' label and sample, a Sample's value."""
_USUAL = 16
"""Bytes of a Sample with a present-day time: 1 + 8 for the value, 1 + 6 for the time."""
_SIX, _SIX_BYTES = np.uint64(0x8080_8080_8080_FF00), np.uint64(0x0080_8080_8080_1000)
"""The tag of a time and the signs of its bytes, in the last eight of a usual Sample: six of them, the last without."""
_1, _2 = np.uint64(1), np.uint64(2)
"""Positions without a sign: the compiler then does not look for one at each load."""
_HISTOGRAMS = np.uint64(0x9FB21C651E98DF25)
"""Tells the histograms of a series from its samples: they are two series that have the same labels."""


@inlined
def _seven_bits_of_six(raw: np.uint64) -> Index:
    """A varint of six bytes without a loop."""
    return np.int64(
        raw & LOW7
        | raw >> np.uint64(1) & LOW7 << np.uint64(7)
        | raw >> np.uint64(2) & LOW7 << np.uint64(14)
        | raw >> np.uint64(3) & LOW7 << np.uint64(21)
        | raw >> np.uint64(4) & LOW7 << np.uint64(28)
        | raw >> np.uint64(5) & LOW7 << np.uint64(35)
    )


@inlined
def _past_labels(data: Bytes, at: Index, end: Index) -> Index:
    """Where the labels of the usual shape end that begin here: nearly always all of a series', at once."""
    here, last = np.uint64(at), np.uint64(end)
    while here + _1 < last and data[here] == _LABEL and data[here + _1] < 128:
        here += np.uint64(data[here + _1]) + _2
    return np.int64(here)


@inlined
def _usual(data: Bytes, at: Index, end: Index) -> bool:
    """Whether a Sample of 16 bytes stands here: its value, and a time of six bytes."""
    here = np.uint64(at)
    if end - at < _USUAL + 2 or data[here] != _SAMPLE or data[here + _1] != _USUAL or data[here + _2] != _VALUE:
        return False
    return bool(word(data, at + 10) & _SIX == _SIX_BYTES)


@inlined
def _message(data: Bytes, at: Index, end: Index) -> tuple[Index, Index, Index]:
    """Next field: number (0: not a message), where its payload begins, where it ends (−1: malformed)."""
    number, wire, begin, stop = field(data, at, end)
    return number if wire == 2 else 0, begin, stop


@kernel
def sample(data: Bytes, at: Index, end: Index) -> tuple[np.uint64, Index, Index]:
    """Bits of the value, milliseconds, and 0 or −1 for malformed. Of repeated fields the last counts."""
    bits, millis = np.uint64(0), 0
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
        before, at = at, _past_labels(data, at, end)
        number = 1
        if at == before and _usual(data, at, end):
            bits[count], millis[count] = word(data, at + 3), _seven_bits_of_six(word(data, at + 10) >> np.uint64(16))
            count, at = count + 1, at + 2 + _USUAL
            continue
        if at == before:
            number, begin, at = _message(data, at, end)
        if at < 0 or at > end:
            return -1, histograms, a, b, run, run_end, pieces
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


@inlined
def _note(
    spans: Int64, keys: UInt64, ends: Int64, at: Index, a: np.uint64, b: np.uint64, place: Place, end: Index
) -> Index:
    """Put down a series that was read, to be looked up with the others; how many there are then."""
    spans[at, 0], spans[at, 1], spans[at, 2], spans[at, 3] = place
    keys[at, 0], keys[at, 1] = a, b
    ends[at] = end
    return at + 1


@kernel
def read(
    data: Bytes, bits: UInt64, millis: Int64, spans: Int64, keys: UInt64, ends: Int64, found: Int64
) -> tuple[Index, Index, Index, Index]:
    """Read a WriteRequest, without asking which series these are.

    Args:
        data: ``uint8[bytes]``, uncompressed.
        bits, millis: filled, one per sample.
        spans: ``int64[series, 4]`` filled: the byte span of the labels and 0, or, when the labels do not lie in one
            piece, that of the whole TimeSeries message and a positive number; then 1 for a series of histograms.
        keys: ``uint64[series, 2]`` filled with their hashes.
        ends: ``int64[series]`` filled: how many samples (or histograms) there are up to the end of this series.
        found: ``int64[histogram, 3]``: the last two filled with the byte span of each native histogram.

    Returns:
        Samples, histograms and series read, and 0, or −1 for a malformed message.
    """
    count, histograms, known, at, end = 0, 0, 0, 0, len(data)
    while at < end:
        number, start, stop = _message(data, at, end)
        if stop < 0:
            return count, histograms, known, -1
        at = stop
        if number != 1:
            continue
        first, before = count, histograms
        count, histograms, a, b, run, run_end, pieces = series(data, start, stop, bits, millis, first, found, before)
        if count < 0:
            return first, before, known, -1
        if pieces:
            run, run_end = start, stop
        if count > first or histograms == before:
            known = _note(spans, keys, ends, known, a, b, (run, run_end, pieces, 0), count)
        if histograms > before:
            known = _note(spans, keys, ends, known, a ^ _HISTOGRAMS, b, (run, run_end, pieces, 1), histograms)
    return count, histograms, known, 0


@kernel
def look_up(
    data: Bytes, table: UInt64, rows: Int64, spans: Int64, keys: UInt64, ends: Int64, found: Int64, known: Index
) -> Index:
    """Find the rows of what :func:`read` has read. A loop of its own, so that the misses of the cache overlap.

    Args:
        table: ``uint64[slots, 3]``, two hashes and the row; ``slots`` is a power of two.
        rows: filled, one per sample. A new series' row is ``−2 − its position in spans``.
        spans, keys: what is known leaves them: then the first ones are those of the new series.
        found: its first column filled in the same way.
        known: how many series were read.

    Returns:
        New series, or −1 if the labels of one are malformed.
    """
    fresh, sample_at, histogram_at = 0, 0, 0
    for at in range(known):
        row, _ = find(table, keys[at, 0], keys[at, 1])
        of_histograms, end = spans[at, 3], ends[at]
        if row == EMPTY:
            if not labels_read(data, spans[at, 0], spans[at, 1]):
                return -1
            spans[fresh], keys[fresh] = spans[at], keys[at]
            row = -2 - fresh
            fresh += 1
        if of_histograms:
            found[histogram_at:end, 0] = row
            histogram_at = end
        else:
            while sample_at < end:  # nearly always one
                rows[sample_at] = row
                sample_at += 1
    return fresh

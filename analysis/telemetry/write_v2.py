"""remote_write 2.0 rewritten as 1.0: its table of symbols put back into the labels, samples and histograms copied.

So there is one decoder, one hash of a series, one row for it, whichever version a sender speaks.
https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/
"""

from __future__ import annotations

import numpy as np

from analysis.compiled import kernel
from analysis.telemetry.wire import Bytes, Index, Int64, UInt64, field, varints

MALFORMED, TOO_LARGE = -1, -2
_SYMBOLS, _SERIES = 4, 5
_REFS, _SAMPLES, _HISTOGRAMS = 1, 2, 3
_REF = np.uint64(0xFFFFFFFF)
_TAG_1, _TAG_2, _TAG_4 = 0x0A, 0x12, 0x22
"""Tags of length-delimited fields: a request's series, a series' labels, a label's name; its value, a sample; 4: a
histogram."""


@kernel
def _width(number: Index) -> Index:
    """Bytes of a varint."""
    width = 1
    while number >= 128:
        number >>= 7
        width += 1
    return width


@kernel
def _put(out: Bytes, at: Index, tag: Index, size: Index) -> Index:
    """Begin a length-delimited field; the position after it."""
    out[at] = tag
    at += 1
    while size >= 128:
        out[at] = size & 127 | 128
        at += 1
        size >>= 7
    out[at] = size
    return at + 1


@kernel
def _copy(data: Bytes, begin: Index, end: Index, out: Bytes, at: Index, tag: Index) -> Index:
    """A whole length-delimited field; the position after it."""
    at = _put(out, at, tag, end - begin)
    for index in range(begin, end):
        out[at + index - begin] = data[index]
    return at + end - begin


@kernel
def _label(symbols: Int64, refs: UInt64, index: Index) -> Index:
    """Bytes inside the label at ``refs[index:index + 2]``; −1 when a reference is to no symbol."""
    inner = 0
    for ref in refs[index : index + 2]:
        place = np.int64(ref & _REF)
        if place >= len(symbols):
            return -1
        size = symbols[place, 1] - symbols[place, 0]
        inner += 1 + _width(size) + size
    return inner


@kernel
def _measure(data: Bytes, at: Index, end: Index, symbols: Int64, refs: UInt64) -> tuple[Index, Index]:
    """Fill in the references of a TimeSeries; how many there are (−1: malformed), and its size in version 1."""
    count, size = 0, 0
    while at < end:
        number, wire, begin, at = field(data, at, end)
        if at < 0:
            return -1, 0
        if number == _REFS:
            count = varints(data, begin, at, wire, refs, count)
            if count < 0:
                return -1, 0
        elif wire == 2 and number in (_SAMPLES, _HISTOGRAMS):
            size += 1 + _width(at - begin) + at - begin
    if count % 2:
        return -1, 0
    for index in range(0, count, 2):
        inner = _label(symbols, refs, index)
        if inner < 0:
            return -1, 0
        size += 1 + _width(inner) + inner
    return count, size


@kernel
def _series(data: Bytes, start: Index, stop: Index, symbols: Int64, refs: UInt64, out: Bytes, at: Index) -> Index:
    """Write one TimeSeries; the position after it, or an error."""
    count, size = _measure(data, start, stop, symbols, refs)
    if count < 0:
        return MALFORMED
    if at + size + 11 > len(out):
        return TOO_LARGE
    at = _put(out, at, _TAG_1, size)
    for index in range(0, count, 2):
        at = _put(out, at, _TAG_1, _label(symbols, refs, index))
        for part, tag in ((0, _TAG_1), (1, _TAG_2)):
            place = np.int64(refs[index + part] & _REF)
            at = _copy(data, symbols[place, 0], symbols[place, 1], out, at, tag)
    while start < stop:
        number, wire, begin, start = field(data, start, stop)
        if wire == 2 and number in (_SAMPLES, _HISTOGRAMS):
            at = _copy(data, begin, start, out, at, _TAG_2 if number == _SAMPLES else _TAG_4)
    return at


@kernel
def rewrite(data: Bytes, out: Bytes) -> Index:
    """Write a Request of version 2 as a WriteRequest of version 1.

    Args:
        data: ``uint8[bytes]``, uncompressed.
        out: ``uint8[bytes]``, filled; a short table of symbols can stand for labels without end.

    Returns:
        Bytes written, ``MALFORMED`` or ``TOO_LARGE``.
    """
    symbols, refs = np.empty((len(data) // 2 + 1, 2), dtype=np.int64), np.empty(len(data) + 1, dtype=np.uint64)
    known, at = 0, 0
    while at < len(data):
        number, wire, begin, at = field(data, at, len(data))
        if at < 0:
            return MALFORMED
        if number == _SYMBOLS and wire == 2:
            symbols[known, 0], symbols[known, 1] = begin, at
            known += 1
    size, at = 0, 0
    while at < len(data):
        number, wire, begin, at = field(data, at, len(data))
        if number == _SERIES and wire == 2:
            size = _series(data, begin, at, symbols[:known], refs, out, size)
            if size < 0:
                return size
    return size

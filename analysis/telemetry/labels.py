"""Labels as remote_write spells them, read and written without an object per field: once per new series."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from analysis.telemetry.wire import field
from analysis.windows.block import Labels

NAME = b"__name__"
_LABEL, _TEXT, _VALUE = 0x0A, 0x0A, 0x12
_NAMED = b"\x0a\x08" + NAME
"""How a label of that name begins."""


def encode(labels: Mapping[str, str]) -> bytes:
    """The label fields of a TimeSeries message, sorted by name: equal labels are equal bytes."""
    return _written({name.encode(): value.encode("utf-8", "surrogateescape") for name, value in labels.items()})


def with_each(raw: bytes, name: bytes, values: Iterable[bytes]) -> list[bytes]:
    """Label fields with one more label, once for each of its values."""
    pairs = _pairs(raw)
    return [_written({**pairs, name: value}) for value in values]


def _written(labels: Mapping[bytes, bytes]) -> bytes:
    found = bytearray()
    for name, value in sorted(labels.items()):
        inner = b"\x0a" + _size(len(name)) + name + b"\x12" + _size(len(value)) + value
        found += b"\x0a" + _size(len(inner)) + inner
    return bytes(found)


def decode(raw: bytes) -> dict[bytes, bytes]:
    """Label fields back to names and values, of repeated ones the last. Ends at what it does not know.

    The compiled decoder has checked the bytes; a sender that writes fields which no client library writes is read by
    ``labels_of`` instead, when this finds no metric name.
    """
    found: dict[bytes, bytes] = {}
    at, end = 0, len(raw)
    while at < end and raw[at] == _LABEL:
        size, at = _varint(raw, at + 1)
        stop = at + size
        name = value = b""
        while at < stop:
            kind = raw[at]
            size, begin = _varint(raw, at + 1)
            at = begin + size
            if kind == _TEXT:
                name = raw[begin:at]
            elif kind == _VALUE:
                value = raw[begin:at]
            else:
                return found
        found[name] = value
    return found


def split(raw: bytes) -> tuple[bytes, bytes]:
    """The first label's field when it is the metric's name, as Prometheus sorts labels, and what comes after it."""
    end = 2 + raw[1] if raw.startswith(_NAMED, 2) and raw[1] < 128 else 0
    return raw[:end], raw[end:]


def metric_of(raw: bytes) -> bytes:
    """The metric's name; empty when there is none.

    Only a label that is *named* ``__name__`` counts: a value may contain any bytes.
    """
    if raw.startswith(_NAMED, 2) and raw[12:13] == b"\x12" and raw[1] < 128:
        size, begin = _varint(raw, 13)
        if begin + size == 2 + raw[1]:
            return raw[begin : begin + size]
    return decode(raw).get(NAME, b"")


def _size(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at] if at < len(raw) else 0
        value |= (byte & 127) << shift
        at += 1
        if byte < 128:
            return value, at
        shift += 7


def labels_of(raw: bytes) -> Labels:
    """Labels of a TimeSeries message; text that is not UTF-8 is replaced, never passed on."""
    return {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in _pairs(raw).items()}


def _pairs(raw: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for number, label in _messages(raw):
        if number == 1:
            parts = dict(_messages(label))
            found[parts.get(1, b"")] = parts.get(2, b"")
    return found


def joined(series: bytes) -> bytes:
    """The label fields of a TimeSeries message, side by side."""
    data = np.frombuffer(series, dtype=np.uint8)
    pieces, at = b"", 0
    while at < len(series):
        number, kind, _, stop = field(data, at, len(series))
        if number == 1 and kind == 2:
            pieces += series[at:stop]
        at = stop
    return pieces


def _messages(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Length-delimited fields; ends at what is malformed."""
    data, at = np.frombuffer(raw, dtype=np.uint8), 0
    while at < len(raw):
        number, kind, begin, at = field(data, at, len(raw))
        if at < 0:
            return
        if kind == 2:
            yield number, raw[begin:at]

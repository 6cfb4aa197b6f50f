"""A remote_write 1.0 receiver's decoder: snappy and protobuf in, rows, times and values out.

``Decoder`` keeps the table of known series. It is bounded: when it is full, new series are refused and counted until
``forget`` makes room. A malformed request changes nothing. Labels are kept as the bytes in which they came (a fifth of what a
dict would take) and read when somebody asks; senders must sort them, so equal labels are equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cramjam
import numpy as np

from analysis.telemetry import wire
from analysis.windows.block import Float64, Int64, Labels

MAX_BYTES = 32 * 1024 * 1024
"""Of one request, uncompressed: Prometheus sends at most 2,000 samples in one, well under a megabyte."""
_HEADER = 5
"""Bytes of the largest length that snappy's header may have."""
_FULL = 0.75
"""Share of the hash table that may be taken."""


class Malformed(Exception):
    """Not a remote_write 1.0 request; the message says which part."""


@dataclass(frozen=True, slots=True)
class Written:
    """Samples of one request, in its order. ``rows: int64``, ``millis: int64`` (Unix), ``values: float64``."""

    rows: Int64
    millis: Int64
    values: Float64
    refused: int
    """Samples of series for which there was no room."""
    new: Int64
    """Rows that were given out by this request."""


class Decoder:
    """Knows each series by a row number, given out as series are first seen."""

    def __init__(self, capacity: int) -> None:
        size = 1 << max(4, (2 * capacity - 1).bit_length())
        self.capacity = capacity
        self._raw: list[bytes | None] = []
        self._free: list[int] = []
        self._rows: dict[bytes, int] = {}
        self._taken = 0
        self._a = np.zeros(size, dtype=np.uint64)
        self._b = np.zeros(size, dtype=np.uint64)
        self._row = np.full(size, wire.EMPTY, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._rows)

    def raw(self, row: int) -> bytes:
        """Labels of a row as they came; empty for a free row."""
        return self._raw[row] or b""

    def labels(self, row: int) -> Labels:
        """Labels of a known row."""
        raw = self._raw[row]
        return {} if raw is None else labels_of(raw)

    def decode(self, body: bytes) -> Written:
        """Read one request's body.

        Raises:
            Malformed: it is not snappy, too large, or not a WriteRequest.
        """
        return self.read(uncompress(body))

    def read(self, message: bytes | memoryview) -> Written:
        """The same, of an uncompressed WriteRequest."""
        data = np.frombuffer(message, dtype=np.uint8)
        room = len(data) // 2 + 1
        rows, millis = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int64)
        bits = np.empty(room, dtype=np.uint64)
        spans = np.empty((room, 3), dtype=np.int64)
        keys = np.empty((room, 2), dtype=np.uint64)
        with np.errstate(over="ignore"):  # the hashes wrap
            count, fresh, status = wire.decode(data, self._a, self._b, self._row, rows, bits, millis, spans, keys)
        if status < 0:
            raise Malformed("not a WriteRequest of remote_write 1.0")
        rows, new = rows[:count], np.zeros(0, dtype=np.int64)
        if fresh:
            given, new = self._register(bytes(message), spans[:fresh], keys[:fresh])
            is_new = rows < wire.EMPTY
            rows[is_new] = given[-2 - rows[is_new]]
        kept = rows >= 0
        values = bits[:count].view(np.float64)
        if kept.all():
            return Written(rows, millis[:count], values, 0, new)
        return Written(rows[kept], millis[:count][kept], values[kept], int((~kept).sum()), new)

    def forget(self, rows: Int64) -> None:
        """Free rows of series that are gone; their numbers are given to others."""
        gone = np.zeros(len(self._raw), dtype=np.bool_)
        for row in rows.tolist():
            raw = self._raw[row]
            if raw is not None:
                del self._rows[raw]
                self._raw[row] = None
                self._free.append(row)
                gone[row] = True
        stays = np.flatnonzero(self._row != wire.EMPTY)
        stays = stays[~gone[self._row[stays]]]
        a, b, kept = self._a[stays], self._b[stays], self._row[stays]
        self._row[:] = wire.EMPTY
        self._insert(a, b, kept)
        self._taken = len(kept)

    def _register(self, message: bytes, spans: Int64, keys: np.ndarray) -> tuple[Int64, Int64]:
        given = np.full(len(spans), wire.EMPTY, dtype=np.int64)
        new: list[int] = []
        for index, (start, stop, pieces) in enumerate(spans.tolist()):
            raw = message[start:stop]
            given[index] = self._row_of(_joined(raw) if pieces else raw, new)
        added = np.flatnonzero(given != wire.EMPTY)
        self._insert(keys[added, 0], keys[added, 1], given[added])
        self._taken += len(added)
        return given, np.array(new, dtype=np.int64)

    def _row_of(self, raw: bytes, new: list[int]) -> int:
        row = self._rows.get(raw)
        if self._taken + len(new) >= _FULL * len(self._row):
            return wire.EMPTY
        if row is None and len(self._rows) < self.capacity:
            row = self._free.pop() if self._free else len(self._raw)
            if row == len(self._raw):
                self._raw.append(None)
            self._raw[row] = raw
            self._rows[raw] = row
            new.append(row)
        return wire.EMPTY if row is None else row

    def _insert(self, a: np.ndarray, b: np.ndarray, rows: Int64) -> None:
        with np.errstate(over="ignore"):
            wire.insert_all(
                self._a, self._b, self._row, np.ascontiguousarray(a), np.ascontiguousarray(b), np.ascontiguousarray(rows)
            )


def uncompress(body: bytes) -> memoryview:
    """Undo snappy's block format; its own header is checked first, so that a small body cannot become a large one.

    Raises:
        Malformed: it is not snappy, or too large.
    """
    size, after = wire.varint(np.frombuffer(body[:_HEADER], dtype=np.uint8), 0, min(_HEADER, len(body)))
    if after < 0:
        raise Malformed("no snappy header")
    if int(size) > MAX_BYTES:
        raise Malformed(f"{int(size)} bytes uncompressed, more than {MAX_BYTES}")
    try:
        return memoryview(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise Malformed("not snappy") from error


def labels_of(raw: bytes) -> Labels:
    """Labels of a TimeSeries message; text that is not UTF-8 is replaced, never passed on."""
    found: Labels = {}
    for number, label in _messages(raw):
        if number == 1:
            parts = {part: text.decode("utf-8", "replace") for part, text in _messages(label)}
            found[parts.get(1, "")] = parts.get(2, "")
    return found


def _joined(series: bytes) -> bytes:
    """The label fields of a TimeSeries message, side by side."""
    data = np.frombuffer(series, dtype=np.uint8)
    pieces, at = b"", 0
    while at < len(series):
        number, kind, _, stop = wire.field(data, at, len(series))
        if number == 1 and kind == 2:
            pieces += series[at:stop]
        at = stop
    return pieces


def _messages(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Length-delimited fields; ends at what is malformed."""
    data, at = np.frombuffer(raw, dtype=np.uint8), 0
    while at < len(raw):
        number, kind, begin, at = wire.field(data, at, len(raw))
        if at < 0:
            return
        if kind == 2:
            yield number, raw[begin:at]

"""A remote_write 1.0 receiver's decoder: snappy and protobuf in, rows, times and values out.

``Decoder`` keeps the table of known series. It is bounded: when it is full, new series are refused and counted until
``forget`` makes room. A malformed request changes nothing. Labels are kept as the bytes in which they came and read
when somebody asks; senders must sort them, so equal labels are equal bytes, and a series is known by their hash alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cramjam
import numpy as np

from analysis.telemetry import native, wire, write_v2
from analysis.telemetry.kept_labels import KeptLabels
from analysis.telemetry.labels import joined, labels_of, with_each
from analysis.telemetry.wire import Bytes, UInt64
from analysis.telemetry.write_request import look_up, read
from analysis.windows.block import Bool, Float64, Int64, Labels

MAX_BYTES = 8 * 1024 * 1024
"""Of one request, uncompressed: Prometheus sends at most 2,000 samples in one, well under a megabyte."""
_HEADER = 5
"""Bytes of the largest length that snappy's header may have."""
_FULL = 0.75
"""Share of the hash table that may be taken: ``capacity`` is at most half of it and always has room."""
_KEPT = 1 << 20
"""Samples up to which the working arrays are kept for the next request."""

_Arrays = tuple[Int64, UInt64, Int64, Int64, UInt64, Int64, Int64]


def _arrays(samples: int) -> _Arrays:
    """Rows, bits, milliseconds; spans, keys and ends of series; places of histograms. Not filled."""
    return (
        np.empty(samples, dtype=np.int64),
        np.empty(samples, dtype=np.uint64),
        np.empty(samples, dtype=np.int64),
        np.empty((samples, 4), dtype=np.int64),
        np.empty((samples, 2), dtype=np.uint64),
        np.empty(samples, dtype=np.int64),
        np.empty((samples, 3), dtype=np.int64),
    )


class Malformed(Exception):
    """Not a remote_write 1.0 request; the message says which part."""


@dataclass(frozen=True, slots=True)
class Written:
    """Samples of one request, in its order. ``rows: int64``, ``millis: int64`` (Unix), ``values: float64``.

    Those of native histograms come last, as one sample for each bound.
    """

    rows: Int64
    millis: Int64
    values: Float64
    refused: int
    """Samples of series for which there was no room."""
    new: Int64
    """Rows that were given out by this request."""
    ignored: int = 0
    """Samples of series that nobody wants."""
    samples: int = 0
    """Samples that the request had and that were looked at: all but the refused."""
    histograms: int = 0
    """The same for native histograms."""


class Decoder:
    """Knows each series by a row number, given out as series are first seen.

    Args:
        capacity: series that are kept.
        wanted: asked once per new series, with its labels as they came; None wants all. What is not wanted costs a
            place in the hash table and no more.
    """

    def __init__(self, capacity: int, wanted: Callable[[bytes], bool] | None = None) -> None:
        size = 1 << max(4, (2 * capacity - 1).bit_length())
        self._wanted = wanted
        self.capacity = capacity
        self._kept = KeptLabels()
        self._others = 0
        """Places of the table that series take which are not kept, and second keys of those that are."""
        self._scratch = _arrays(0)
        self._rewritten = np.empty(0, dtype=np.uint8)
        self._natives = native.Natives()
        self._buffer = np.empty(0, dtype=np.uint8)
        self._table = np.full((size, 3), wire.VACANT, dtype=np.uint64)

    def __len__(self) -> int:
        return self._kept.taken

    def raw(self, row: int) -> bytes:
        """Labels of a row as they came; empty for a free row."""
        return self._kept.raw(row)

    def labels(self, row: int) -> Labels:
        """Labels of a known row."""
        return labels_of(self.raw(row))

    def decode(self, body: bytes, version: int = 1) -> Written:
        """Read one request's body, of remote_write 1.0 or 2.0.

        Raises:
            Malformed: it is not snappy, too large, or not a request of that version.
        """
        size = uncompressed_size(body)
        if size > len(self._buffer):
            self._buffer = np.empty(size, dtype=np.uint8)
        try:
            written = cramjam.snappy.decompress_raw_into(body, self._buffer.data)
        except cramjam.DecompressionError as error:
            raise Malformed("not snappy") from error
        message = self._buffer[:written].data
        return self.read(message) if version == 1 else self.read_v2(message)

    def read_v2(self, message: bytes | memoryview) -> Written:
        """The same, of an uncompressed Request of version 2."""
        if not len(self._rewritten):
            self._rewritten = np.empty(MAX_BYTES, dtype=np.uint8)
        size = write_v2.rewrite(np.frombuffer(message, dtype=np.uint8), self._rewritten)
        if size == write_v2.TOO_LARGE:
            raise Malformed(f"labels of more than {MAX_BYTES} bytes")
        if size < 0:
            raise Malformed("not a Request of remote_write 2.0")
        return self.read(self._rewritten[:size].data)

    def read(self, message: bytes | memoryview) -> Written:
        """The same, of an uncompressed WriteRequest."""
        data = np.frombuffer(message, dtype=np.uint8)
        rows, bits, millis, spans, keys, ends, found = self._room(len(data) // 2 + 1)
        with np.errstate(over="ignore"):  # the hashes wrap
            count, histograms, known, status = read(data, bits, millis, spans, keys, ends, found)
            fresh = status if status < 0 else look_up(data, self._table, rows, spans, keys, ends, found, known)
        if fresh < 0:
            raise Malformed("not a WriteRequest of remote_write 1.0")
        counted = _histograms(data, found[:histograms]) if histograms else None
        rows, given, new = rows[:count].copy(), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        if fresh:
            given, new = self._register(bytes(message), spans[:fresh], keys[:fresh])
            _resolve(rows, given)
        at, values = millis[:count].copy(), bits[:count].view(np.float64).copy()
        if counted is not None:
            _resolve(found[:histograms, 0], given)
            more = self._counted(found[:histograms, 0], *counted)
            rows, at, values = (np.concatenate(pair) for pair in zip((rows, at, values), more, strict=True))
        kept = (rows >= 0) & (rows < wire.IGNORED)
        if kept.all():
            return Written(rows, at, values, 0, new, 0, int(count), int(histograms))
        refused = rows == wire.EMPTY
        of_samples, of_all = int(refused[:count].sum()), int(refused.sum())
        looked_at = int(count) - of_samples, int(histograms) - (of_all - of_samples)
        return Written(rows[kept], at[kept], values[kept], of_all, new, int((~kept).sum()) - of_all, *looked_at)

    def row(self, raw: bytes) -> tuple[int, bool]:
        """Row of a series by its label fields, and whether it was given out just now; ``EMPTY`` without room."""
        new: list[int] = []
        row = self._row_of(raw, new)
        return row, bool(new)

    def forget(self, rows: Int64) -> None:
        """Free rows of series that are gone; their numbers are given to others. Ignored series are asked about anew."""
        gone = self._kept.drop(rows)
        self._natives.forget(gone)
        kept = self._table[self._table[:, 2] < wire.IGNORED]  # neither vacant nor ignored
        of = kept[:, 2].astype(np.int64)
        plain = of < wire.NATIVE
        alive = np.empty(len(of), dtype=np.bool_)
        alive[plain], alive[~plain] = ~gone[of[plain]], self._natives.alive(of[~plain] - wire.NATIVE)
        kept = kept[alive]
        self._table[:] = wire.VACANT
        self._insert(kept[:, :2], kept[:, 2].astype(np.int64))
        self._others = len(kept) - self._kept.taken

    def _room(self, samples: int) -> _Arrays:
        """Arrays for so many samples and series; the same ones again for requests of the usual size."""
        if samples > len(self._scratch[0]):
            made = _arrays(samples)
            if samples > _KEPT:
                return made
            self._scratch = made
        return self._scratch

    def _register(self, message: bytes, spans: Int64, keys: UInt64) -> tuple[Int64, Int64]:
        """Rows for series that are not in the table, and those that were given out just now."""
        given, new = np.empty(len(spans), dtype=np.int64), list[int]()
        plain = ~spans[:, 2:].any(axis=1)
        given[plain] = self._admit_each([message[start:stop] for start, stop in spans[plain, :2].tolist()], new)
        own = plain & (given != wire.EMPTY) & (given != wire.IGNORED)
        self._insert(keys[own], given[own])
        for index in np.flatnonzero(~plain).tolist():
            start, stop, pieces, histogram = spans[index].tolist()
            raw = joined(message[start:stop]) if pieces else message[start:stop]
            given[index] = self._native_of(raw, new) if histogram else self._row_of(raw, new)
        spare = int(_FULL * len(self._table)) - self.capacity - self._others
        others = np.flatnonzero(~own & (given != wire.EMPTY))[: max(spare, 0)]
        self._insert(keys[others], given[others])
        self._others += len(others)
        return given, np.array(new, dtype=np.int64)

    def _admit_each(self, texts: list[bytes], new: list[int]) -> list[int]:
        """Rows for series that are not known; one may come twice."""
        found, rows = list[int](), dict[bytes, int]()
        for raw in texts:
            row = rows.get(raw)
            if row is None:
                row = rows[raw] = self._admit(raw, new)
            found.append(row)
        return found

    def _admit(self, raw: bytes, new: list[int]) -> int:
        """The row of a series that has none; ``IGNORED`` when nobody wants it, ``EMPTY`` without room."""
        if self._wanted is not None and not self._wanted(raw):
            return wire.IGNORED
        if self._kept.taken >= self.capacity:
            return wire.EMPTY
        row = self._kept.add(raw)
        new.append(row)
        return row

    def _row_of(self, raw: bytes, new: list[int]) -> int:
        """The same for one that may be known, by its label fields in one piece."""
        key = _key(raw)
        row = int(wire.row_of(self._table, *key))
        if row == wire.EMPTY:
            row = self._admit(raw, new)
            if row not in {wire.EMPTY, wire.IGNORED}:
                wire.insert(self._table, *key, row)
        return row

    def _native_of(self, raw: bytes, new: list[int]) -> int:
        """The same for a series of native histograms, which takes as many rows as there are bounds."""
        known = self._natives.number(raw)
        if known is None:
            rows = []
            for one in with_each(raw, b"le", native.LE_BYTES):
                rows.append(self._row_of(one, new))
                if not 0 <= rows[-1] < wire.NATIVE:
                    return rows[-1]
            known = self._natives.add(raw, rows)
        return wire.NATIVE + known

    def _counted(self, of: Int64, millis: Int64, values: Float64, read: Bool) -> tuple[Int64, Int64, Float64]:
        """Rows, times and values of histograms, one sample for each bound; of what is not kept, one sample at all."""
        known = (of >= wire.NATIVE) & (of < wire.IGNORED)
        rows = self._natives.rows(of[known & read] - wire.NATIVE).ravel()
        lost = np.where(of[~(known & read)] == wire.EMPTY, wire.EMPTY, wire.IGNORED)
        nothing = np.zeros(len(lost))
        return (
            np.concatenate([rows, lost]),
            np.concatenate([np.repeat(millis[known & read], len(native.LE)), nothing.astype(np.int64)]),
            np.concatenate([values[known & read].ravel(), nothing]),
        )

    def _insert(self, keys: UInt64, rows: Int64) -> None:
        with np.errstate(over="ignore"):
            wire.insert_all(self._table, np.ascontiguousarray(keys), rows)


def _key(raw: bytes) -> tuple[np.uint64, np.uint64]:
    """Hashes of label fields in one piece, as the decoder computes them."""
    with np.errstate(over="ignore"):
        a, b = wire.key(np.frombuffer(raw, dtype=np.uint8))
    return np.uint64(a), np.uint64(b)


def _resolve(rows: Int64, given: Int64) -> None:
    """Fill in the rows of new series."""
    is_new = rows < wire.EMPTY
    rows[is_new] = given[-2 - rows[is_new]]


def _histograms(data: Bytes, found: Int64) -> tuple[Int64, Float64, Bool]:
    """Milliseconds, counts below each bound, and whether there are any, of the histograms at ``found[:, 1:]``.

    Raises:
        Malformed: one of them is.
    """
    wanted = np.flatnonzero(found[:, 0] != wire.IGNORED)
    millis, status = np.zeros(len(found), dtype=np.int64), np.full(len(found), native.SKIPPED, dtype=np.int64)
    values = np.zeros((len(found), len(native.LE)))
    if wanted.size:
        at, became, counts = millis[wanted], status[wanted], values[wanted]
        with np.errstate(over="ignore", invalid="ignore"):  # numbers come from anybody
            native.read_all(data, found[wanted, 1:].copy(), counts, at, became)
        if (became == native.MALFORMED).any():
            raise Malformed("not a Histogram of remote_write 1.0")
        counts[became == native.STALE] = native.STALE_NAN
        millis[wanted], status[wanted], values[wanted] = at, became, counts
    return millis, values, status != native.SKIPPED


def uncompressed_size(body: bytes) -> int:
    """What snappy's header says, checked before anything is unpacked: a small body cannot become a large one.

    Raises:
        Malformed: no header, or too large.
    """
    size, after = wire.varint(np.frombuffer(body[:_HEADER], dtype=np.uint8), 0, min(_HEADER, len(body)))
    if after < 0:
        raise Malformed("no snappy header")
    if int(size) > MAX_BYTES:
        raise Malformed(f"{int(size)} bytes uncompressed, more than {MAX_BYTES}")
    return int(size)

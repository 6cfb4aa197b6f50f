"""Loads the compiled loops before the first request needs them: it takes a second, with the event loop still."""

from __future__ import annotations

import struct

import cramjam

from analysis.telemetry.labels import encode
from analysis.telemetry.query import Select
from analysis.telemetry.store import Store

_MILLIS = 0x80  # a varint of two bytes: any time does


def warm() -> None:
    """Take one sample of each kind through a store that is thrown away."""
    store = Store(16, 15.0)
    for metric, exact in (("gauge", False), ("counter", True)):
        store.covers(Select(metric), 60.0, 1.0, exact=exact)
        sample = b"\x09" + struct.pack("<d", 1.0) + b"\x10" + bytes([_MILLIS, 1])
        series = encode({"__name__": metric}) + b"\x12" + bytes([len(sample)]) + sample
        message = b"\x0a" + bytes([len(series)]) + series
        store.accept(bytes(cramjam.snappy.compress_raw(message)), 1.0)
    store.evict(1.0)

"""Loads the compiled loops beside a server that answers already.

Compiling takes half a minute of CPU and holds the interpreter; so another process compiles into the cache on disk
(``compiled``), and this one loads from there, in about a second. Until then detection reads by query. Images bring the
cache along: ``python -m analysis.warm`` is run when they are built.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import sys

import cramjam
import numpy as np

from analysis.compiled import COMPILED
from analysis.detect.baseline import Baseline, observe
from analysis.telemetry.labels import encode
from analysis.telemetry.query import Select
from analysis.telemetry.store import Store
from analysis.windows import ring
from analysis.windows.block import Samples

logger = logging.getLogger(__name__)

_MILLIS = 0x80  # a varint of two bytes: any time does


def warm() -> None:
    """Take one sample of each kind through a store and a baseline that are thrown away."""
    store = Store(16, 15.0)
    for metric, exact in (("gauge", False), ("counter", True)):
        store.covers(Select(metric), 60.0, 1.0, exact=exact)
        sample = b"\x09" + struct.pack("<d", 1.0) + b"\x10" + bytes([_MILLIS, 1])
        series = encode({"__name__": metric}) + b"\x12" + bytes([len(sample)]) + sample
        message = b"\x0a" + bytes([len(series)]) + series
        store.accept(bytes(cramjam.snappy.compress_raw(message)), 1.0)
    store.covers(Select("native", native=True), 60.0, 1.0, exact=True)
    series = encode({"__name__": "native"}) + b"\x22\x03\x78" + bytes([_MILLIS, 1])
    store.accept(bytes(cramjam.snappy.compress_raw(b"\x0a" + bytes([len(series)]) + series)), 1.0)
    store.accept(bytes(cramjam.snappy.compress_raw(b"\x2a\x00")), 1.0, version=2)
    one = np.ones(1)
    store.put("gauge", Samples(({"by": "query"},), np.zeros(1, dtype=np.int64), one, one), 1.0)
    for metric in ("gauge", "counter"):
        store.look(Select(metric), ("by",), 60.0, 1.0, 15.0)
    store.latest(Select("counter"), ("by",), 1.0)
    store.evict(1.0)
    observe(Baseline.new(1), one, np.ones((1, 1)))


def loaded() -> bool:
    """Whether this process has them already, or runs uncompiled."""
    return not COMPILED or bool(ring.write_cells.signatures)  # type: ignore[attr-defined]


async def warm_up(store: Store) -> None:
    """Compile elsewhere, load here, then let the store take part."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "analysis.warm")
    try:
        code = await process.wait()
    except asyncio.CancelledError:
        process.kill()
        raise
    if code != 0:
        logger.warning("compiling ahead failed (%d): it is done here instead", code)
    await asyncio.to_thread(warm)
    store.ready = True


if __name__ == "__main__":
    warm()

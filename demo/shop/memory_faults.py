"""Faults of memory, and the warm-up that looks like one for a while."""

from __future__ import annotations

import logging
import math
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from demo.shop.fault import MIB, Fault, bounded, filled

__all__ = ["Leak", "MemorySpike", "WarmUp"]

logger = logging.getLogger("shop.cache")


@dataclass(slots=True)
class Leak(Fault):
    """A cache that never evicts: grows at a steady rate until the kernel ends the process."""

    NAME = "leak"
    mib_per_second: float = 0.6
    entries: int = 50
    max_mib: float = 8192.0
    """Where it stops growing, as a cache with a bound does; by default never within a container's limit."""
    _cache: dict[int, bytes] = field(default_factory=dict, repr=False)

    def check(self) -> None:
        """See the base."""
        bounded("mib_per_second", self.mib_per_second, 0.01, 64)
        bounded("entries", self.entries, 1, 10_000)
        bounded("max_mib", self.max_mib, 1, 65_536)

    def run(self, stop: threading.Event) -> None:
        """Once a second, so that the slope is smooth at any scrape interval."""
        size = max(1, int(self.mib_per_second * MIB / self.entries))
        most = int(self.max_mib * MIB / size)
        while not stop.wait(1.0) and len(self._cache) < most:
            logger.info("cache miss, loading %d entries", self.entries)
            for _ in range(self.entries):
                self._cache[len(self._cache)] = filled(size)

    def clear(self) -> None:
        """Drops the cache; how much of it the allocator returns is the allocator's affair, as in life."""
        self._cache.clear()

    def parameters(self) -> dict[str, Any]:
        """Without the cache, which must not be copied."""
        return {"mib_per_second": self.mib_per_second, "entries": self.entries, "max_mib": self.max_mib}


@dataclass(slots=True)
class WarmUp(Fault):
    """No defect: a cache that fills, fast at first and slower the fuller it is, and then stays as it is."""

    NAME = "warm-up"
    mib: float = 48.0
    seconds: float = 40.0
    """Time constant: after one of them 63 % is there, after five all of it."""
    _cache: list[bytes] = field(default_factory=list, repr=False)

    def check(self) -> None:
        """See the base."""
        bounded("mib", self.mib, 1, 8192)
        bounded("seconds", self.seconds, 1, 3600)

    def run(self, stop: threading.Event) -> None:
        """Once a second what is missing to the curve."""
        begun, held = time.monotonic(), 0.0
        while not stop.wait(1.0):
            wanted = self.mib * (1 - math.exp(-(time.monotonic() - begun) / self.seconds))
            if wanted - held >= 1 / 16:
                self._cache.append(filled(int((wanted - held) * MIB)))
                held = wanted

    def clear(self) -> None:
        """Drops the cache."""
        self._cache.clear()

    def parameters(self) -> dict[str, Any]:
        """Without the cache."""
        return {"mib": self.mib, "seconds": self.seconds}


@dataclass(slots=True)
class MemorySpike(Fault):
    """One large result set, held for a while."""

    NAME = "memory-spike"
    mib: float = 100.0
    hold_seconds: float = 120.0
    _block: bytes = field(default=b"", repr=False)

    def check(self) -> None:
        """See the base."""
        bounded("mib", self.mib, 1, 8192)
        bounded("hold_seconds", self.hold_seconds, 1, 3600)

    def run(self, stop: threading.Event) -> None:
        """Takes it at once, in a single block that goes back to the system when freed."""
        logger.info("export: loading %d MiB of orders", int(self.mib))
        self._block = filled(int(self.mib * MIB))
        stop.wait(self.hold_seconds)
        self._block = b""

    def clear(self) -> None:
        """Frees the block."""
        self._block = b""

    def parameters(self) -> dict[str, Any]:
        """Without the block."""
        return {"mib": self.mib, "hold_seconds": self.hold_seconds}

"""Faults that can be switched on and off in a running process. They do real harm: memory is resident, disks fill.

A fault does not announce itself: it logs only what a service with that defect would log.
"""

from __future__ import annotations

import json
import logging
import os
import random
import tempfile
import threading
import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

from demo.shop.fault import MIB, Fault, FaultError, InjectedError, bounded, filled
from demo.shop.memory_faults import Leak, MemorySpike, WarmUp

__all__ = ["FAULTS", "Fault", "FaultError", "Faults", "InjectedError"]

logger = logging.getLogger("shop.cache")

_HEAD_START = 0.2


@dataclass(slots=True)
class Slow(Fault):
    """A slow dependency: the share of requests that wait, and for how long."""

    NAME = "slow"
    milliseconds: float = 800.0
    share: float = 1.0

    def check(self) -> None:
        """See the base."""
        bounded("milliseconds", self.milliseconds, 1, 60_000)
        bounded("share", self.share, 0, 1)

    def on_request(self) -> None:
        """Waits, with a little spread."""
        if random.random() < self.share:  # noqa: S311
            time.sleep(self.milliseconds / 1000 * random.uniform(0.8, 1.2))  # noqa: S311


@dataclass(slots=True)
class Errors(Fault):
    """A share of the requests fails with an exception, and so with a stack trace in the log."""

    NAME = "errors"
    share: float = 0.3

    def check(self) -> None:
        """See the base."""
        bounded("share", self.share, 0, 1)

    def on_request(self) -> None:
        """Raises for the share."""
        if random.random() < self.share:  # noqa: S311
            raise InjectedError("ledger: connection pool exhausted (20/20 in use)")


@dataclass(slots=True)
class DiskFill(Fault):
    """Files that nobody deletes."""

    NAME = "disk-fill"
    mib_per_second: float = 2.0
    max_mib: float = 512.0
    folder: ClassVar[Path] = Path(tempfile.gettempdir())
    _written: list[Path] = field(default_factory=list, repr=False)

    def check(self) -> None:
        """See the base."""
        bounded("mib_per_second", self.mib_per_second, 0.01, 256)
        bounded("max_mib", self.max_mib, 1, 65_536)

    def run(self, stop: threading.Event) -> None:
        """One file a second until the maximum or the end of the disk."""
        size = int(self.mib_per_second * MIB)
        while len(self._written) * size < self.max_mib * MIB and not stop.wait(1.0):
            path = self.folder / f"export-{os.getpid()}-{len(self._written)}.tmp"
            self._written.append(path)
            try:
                path.write_bytes(filled(size))
            except OSError as error:
                logger.error("cannot write %s: %s", path, error.strerror)  # noqa: TRY400

    def clear(self) -> None:
        """Deletes what was written."""
        while self._written:
            self._written.pop().unlink(missing_ok=True)

    def parameters(self) -> dict[str, Any]:
        """Without the list of files."""
        return {"mib_per_second": self.mib_per_second, "max_mib": self.max_mib}


@dataclass(slots=True)
class CpuBurn(Fault):
    """A hot loop beside the requests, up to the container's CPU limit."""

    NAME = "cpu-burn"
    duty: float = 0.9

    def check(self) -> None:
        """See the base."""
        bounded("duty", self.duty, 0.01, 1)

    def run(self, stop: threading.Event) -> None:
        """Busy for `duty` of each tenth of a second."""
        while not stop.is_set():
            busy_until = time.perf_counter() + 0.1 * self.duty
            while time.perf_counter() < busy_until:
                pass
            stop.wait(0.1 * (1 - self.duty))


@dataclass(slots=True)
class Series(Fault):
    """Labels that nobody thought about: the process suddenly has thousands of series, with values that move."""

    NAME = "series"
    count: float = 20_000.0

    def check(self) -> None:
        """See the base."""
        bounded("count", self.count, 1, 200_000)

    def exposition(self) -> bytes:
        """One counter per customer, as a service with a customer's id for a label has."""
        now = int(time.time())
        head = "# HELP basket_views_total Baskets looked at.\n# TYPE basket_views_total counter\n"
        lines = (
            f'basket_views_total{{customer="{number:06d}"}} {now % 100_000 + number}\n'
            for number in range(int(self.count))
        )
        return (head + "".join(lines)).encode()


@dataclass(slots=True)
class Crash(Fault):
    """The process ends at once, without a word; the kubelet starts it again."""

    NAME = "crash"

    def check(self) -> None:
        """Nothing to check."""

    def run(self, stop: threading.Event) -> None:  # noqa: ARG002 there is nothing to wait for
        """No clean-up, no last line."""
        os._exit(1)


FAULTS: dict[str, type[Fault]] = {
    kind.NAME: kind for kind in (Leak, WarmUp, MemorySpike, Slow, Errors, DiskFill, CpuBurn, Series, Crash)
}


class Faults:
    """The faults of one process; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._on: dict[str, tuple[Fault, threading.Event, threading.Thread]] = {}

    def start(self, name: str, parameters: dict[str, Any]) -> None:
        """Switches a fault on; one that is on already is started anew with these parameters. Raises FaultError."""
        fault = _make(name, parameters)
        self.stop(name)
        stop = threading.Event()
        thread = threading.Thread(target=_begin, args=(fault, stop), name=f"fault-{name}", daemon=True)
        with self._lock:
            self._on[name] = (fault, stop, thread)
        thread.start()

    def stop(self, name: str) -> None:
        """Switches a fault off and gives back what it took; silent when it is off. Raises FaultError."""
        if name not in FAULTS:
            raise FaultError(f"unknown fault {name!r}: one of {', '.join(FAULTS)}")
        with self._lock:
            entry = self._on.pop(name, None)
        if entry is not None:
            fault, stop, thread = entry
            stop.set()
            thread.join(timeout=5.0)
            fault.clear()

    def active(self) -> dict[str, dict[str, Any]]:
        """Name and parameters of the faults that are on."""
        with self._lock:
            return {name: fault.parameters() for name, (fault, _, _) in self._on.items()}

    def on_request(self) -> None:
        """What a business request suffers; may block or raise InjectedError."""
        with self._lock:
            faults = [fault for fault, _, _ in self._on.values()]
        for fault in faults:
            fault.on_request()

    def exposition(self) -> bytes:
        """What the faults add to /metrics."""
        with self._lock:
            faults = [fault for fault, _, _ in self._on.values()]
        return b"".join(fault.exposition() for fault in faults)

    def start_from(self, text: str) -> None:
        """`NAME` or `NAME={json}`, as in FAULT_ON_START; nothing when empty. Raises FaultError."""
        if not text:
            return
        name, _, parameters = text.partition("=")
        try:
            parsed = json.loads(parameters) if parameters else {}
        except ValueError as error:
            raise FaultError(f"parameters of {name!r} are not JSON: {error}") from error
        self.start(name.strip(), parsed)


def _begin(fault: Fault, stop: threading.Event) -> None:
    """After a moment in which the answer to the switch gets out: some faults end the process at once."""
    if not stop.wait(_HEAD_START):
        fault.run(stop)


def _make(name: str, parameters: Any) -> Fault:
    kind = FAULTS.get(name)
    if kind is None:
        raise FaultError(f"unknown fault {name!r}: one of {', '.join(FAULTS)}")
    if not isinstance(parameters, dict):
        raise FaultError("parameters must be a JSON object")
    allowed = {entry.name for entry in fields(kind) if not entry.name.startswith("_")}
    for key, value in parameters.items():
        if key not in allowed:
            raise FaultError(f"unknown parameter {key!r} of {name}: one of {', '.join(sorted(allowed))}")
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise FaultError(f"parameter {key!r} of {name} must be a number")
    fault = kind(**parameters)
    fault.check()
    return fault

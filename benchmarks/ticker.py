"""A tick in a process of its own, which is that of the analysis server with a store and a sender: its memory is told.

A process' highest resident size never falls, so ticks of several sizes in one process would hide each other, and what
the benchmark itself loads (the peers) would be counted. ``python -m benchmarks.ticker SERIES SEED`` prints one line.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass

import analysis.api.app  # noqa: F401 - the server's process has all of it loaded
from benchmarks.tick import Server, Tick

TIMEOUT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Measured:
    """A tick, and what its process took."""

    tick: Tick
    peak: float
    """Highest resident size, MiB."""


def measure(series: int, seed: int) -> Measured:
    """A tick of so many series in a new process.

    Raises:
        RuntimeError: it ended before it had an answer; what it said is on stderr.
    """
    _run("analysis.warm")  # as the server does: what compiles takes memory that what is compiled does not
    found = json.loads(_run("benchmarks.ticker", str(series), str(seed)))
    return Measured(Tick(**found["tick"]), found["peak"])


def _run(module: str, *arguments: str) -> bytes:
    command = [sys.executable, "-m", module, *arguments]
    ended = subprocess.run(command, stdout=subprocess.PIPE, timeout=TIMEOUT_SECONDS, check=False)
    if ended.returncode:
        killed = ended.returncode < 0
        how = f"was killed by signal {-ended.returncode}: is there enough memory?" if killed else "failed, see above"
        raise RuntimeError(f"{' '.join(command[1:])} {how}")
    return ended.stdout


def main(series: int, seed: int) -> None:
    """What the new process does."""
    tick = Server(series, seed).tick()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(asdict(Measured(tick, peak))))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))

"""Long-running processes that outlive the command that started them: start, adopt, watch, stop.

A process is known by its PID *and* its start time *and* the boot it belongs to, so a recycled PID is never mistaken for
ours, let alone killed. Records are JSON files in a folder beside the logs. The embedded cluster and the external server
both use this.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from devcluster.errors import StepFailed
from devcluster.paths import search_path

__all__ = ["ProcessRecord", "ProcessSpec", "ProcessTable", "boot_id", "poll", "start_ticks"]

_SPAWN_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """What to run. `namespaces_of` is the PID whose namespaces to enter; `cgroups` are cgroup.procs files to join."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    namespaces_of: int | None = None
    cgroups: Sequence[str] = ()
    files: Sequence[Path] = ()
    """Files that the process reads when it starts: when one changes, the running process is out of date."""

    def digest(self) -> str:
        """Identifies the command: a running process with another digest must be restarted, not adopted."""
        contents = [hashlib.sha256(path.read_bytes()).hexdigest() for path in self.files]
        parts = [list(self.argv), sorted(self.env.items()), self.cwd, self.namespaces_of, contents]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """Proof of identity of a started process."""

    name: str
    pid: int
    ticks: int
    boot: str
    digest: str

    def alive(self) -> bool:
        """Whether this very process (not another with its number) still runs; a zombie does not."""
        return self.boot == boot_id() and start_ticks(self.pid) == self.ticks


class ProcessTable:
    """The processes of one folder: `<folder>/run/<name>.json` and `<folder>/logs/<name>.log`."""

    def __init__(self, folder: Path) -> None:
        self._run = folder / "run"
        self._logs = folder / "logs"

    def log(self, name: str) -> Path:
        """The file that gets the standard output and error of a process."""
        return self._logs / f"{name}.log"

    def record(self, name: str) -> ProcessRecord | None:
        """What was recorded at the start, alive or not; a torn or foreign file counts as nothing."""
        try:
            return ProcessRecord(**json.loads((self._run / f"{name}.json").read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def records(self) -> list[ProcessRecord]:
        """All recorded processes, dead ones too, by name."""
        names = sorted(path.stem for path in self._run.glob("*.json")) if self._run.is_dir() else []
        return [record for name in names if (record := self.record(name)) is not None]

    def alive(self, name: str) -> ProcessRecord | None:
        """The record when the process still runs."""
        record = self.record(name)
        return record if record is not None and record.alive() else None

    def ensure(self, spec: ProcessSpec) -> ProcessRecord:
        """Adopts the running process if it is the same command, else stops it and starts the new one."""
        record = self.alive(spec.name)
        if record is not None and record.digest == spec.digest():
            return record
        if record is not None:
            self.stop(spec.name)
        return self.start(spec)

    def start(self, spec: ProcessSpec) -> ProcessRecord:
        """Starts detached; raises StepFailed when the program cannot be executed."""
        self._run.mkdir(parents=True, exist_ok=True)
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self.log(spec.name)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        request = {
            "argv": list(spec.argv),
            "env": {"PATH": search_path(), "HOME": os.environ.get("HOME", "/"), **spec.env},
            "cwd": spec.cwd,
            "log": str(log),
            "namespaces_of": spec.namespaces_of,
            "cgroups": list(spec.cgroups),
            "record": str(self._run / f"{spec.name}.json"),
            "identity": {"name": spec.name, "boot": boot_id(), "digest": spec.digest()},
        }
        done = subprocess.run(
            # By file, not by -m: the same for an installed package, a zip and a checkout that is not on the path.
            [sys.executable, "-I", str(Path(__file__).with_name("spawn.py"))],
            input=json.dumps(request), capture_output=True, text=True, timeout=_SPAWN_TIMEOUT, check=False,
        )  # fmt: skip
        answer = json.loads(done.stdout) if done.stdout else {"error": done.stderr.strip()[-500:]}
        if "error" in answer:
            raise StepFailed(f"{spec.name} could not be started: {answer['error']}", log)
        return ProcessRecord(**answer)

    def stop(self, name: str, grace: float = 10.0) -> None:
        """Asks with SIGTERM, insists with SIGKILL after `grace` seconds, and forgets. Silent when it is not running."""
        record = self.alive(name)
        if record is not None:
            for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
                _signal(record, number)
                if _gone(record, patience):
                    break
        (self._run / f"{name}.json").unlink(missing_ok=True)

    def wait_ready(self, name: str, probe: Callable[[], bool], timeout: float, interval: float = 0.2) -> None:
        """Polls until `probe` holds; fails early when the process died. A failure shows the log's last lines."""

        def ready_or_dead() -> bool:
            if self.alive(name) is None:
                raise StepFailed(f"{name} ended before it was ready", self.log(name))
            return probe()

        if not poll(ready_or_dead, timeout, interval):
            raise StepFailed(f"{name} was not ready within {timeout:.0f} s", self.log(name))


def poll(probe: Callable[[], bool], timeout: float, interval: float = 0.2) -> bool:
    """Whether `probe` became true before `timeout` seconds were over."""
    deadline = time.monotonic() + timeout
    while not probe():
        if time.monotonic() >= deadline:
            return False
        time.sleep(interval)
    return True


def boot_id() -> str:
    """Distinguishes this boot from the one that a stale record was written in."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def start_ticks(pid: int) -> int | None:
    """The start time of a process in clock ticks since boot; None when there is none or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat[stat.rindex(")") + 2 :].split()  # the name may hold spaces and parentheses
    return None if fields[0] in "ZX" else int(fields[19])


def _signal(record: ProcessRecord, number: int) -> None:
    try:
        os.kill(record.pid, number)
    except ProcessLookupError:
        return


def _gone(record: ProcessRecord, patience: float) -> bool:
    return poll(lambda: not record.alive(), patience, 0.05)

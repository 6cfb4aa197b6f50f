"""The audit log of one controller: a file that is only appended to, with an fsync before a decision takes effect."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from controllers.audit.chain import Head, link, read
from controllers.audit.codec import encode
from controllers.runtime.errors import Retryable, Terminal
from crds.v1alpha1.base import Resource

log = logging.getLogger(__name__)

TAIL = 1 << 20
INCIDENT_LABEL = "iirp.io/incident"


class Audit(Protocol):
    """Where decisions are recorded."""

    def record(self, kind: str, about: Resource, inputs: dict[str, Any], decision: Any, now: datetime) -> None:
        """Record one decision before it takes effect.

        Args:
            kind: which decision function, for example ``policy.decide``; replay finds the function by it.
            about: the object that was decided about; its label names the incident.
            inputs: the function's arguments by name, without ``now``: frozen dataclasses and API types.
            decision: what the function returned.
            now: the moment that it was given.

        Raises:
            Retryable: it could not be written; then nothing may take effect (S8).
        """


class NoAudit:
    """For tests, and where no directory is configured (the start says so)."""

    def record(self, kind: str, about: Resource, inputs: dict[str, Any], decision: Any, now: datetime) -> None:
        """Do nothing."""


class FileAudit:
    """Appends to ``<directory>/<controller>.jsonl``; thread-safe, and alone: a second writer is refused."""

    def __init__(self, directory: Path, controller: str) -> None:
        """Open the log and find its head.

        Raises:
            Terminal: it cannot be written, another process holds it, or its last record is not as it was written.
        """
        self.path = directory / f"{controller}.jsonl"
        self._controller = controller
        self._lock = Lock()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            torn = self._cut_torn_tail()
        except OSError as error:
            raise Terminal("AuditNotWritable", f"audit log {self.path}: {error.strerror or error}") from error
        self.head = self._find_head()
        if torn:
            # The crash is part of the record: what was lost cannot be told apart from a cut later on otherwise.
            self._append({"kind": "audit.recovered", "lost": f"sha256:{torn}"})

    def record(self, kind: str, about: Resource, inputs: dict[str, Any], decision: Any, now: datetime) -> None:
        """See the port."""
        metadata = about.metadata
        self._append(
            {
                "at": now.isoformat(),
                "controller": self._controller,
                "kind": kind,
                "incident": metadata.labels.get(INCIDENT_LABEL, ""),
                "about": {
                    "kind": type(about).definition.kind,
                    "namespace": metadata.namespace,
                    "name": metadata.name,
                    "uid": metadata.uid,
                    "resourceVersion": metadata.resource_version,
                },
                "inputs": {name: encode(value) for name, value in inputs.items()},
                "step": type(decision).__name__,
                "decision": encode(decision),
            }
        )

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._file)

    def _append(self, entry: dict[str, Any]) -> None:
        with self._lock:
            line, head = link(self.head, entry)
            before = os.fstat(self._file).st_size
            try:
                _write_all(self._file, line)
            except OSError as error:
                os.ftruncate(self._file, before)
                raise Retryable("AuditNotWritable", f"audit log {self.path}: {error.strerror or error}") from error
            self.head = head
        # Leaves the pod with its log: a head outside, even where no anchor is configured.
        log.info("audit", extra={"seq": head.seq, "hash": head.digest, "kind": entry["kind"]})

    def _cut_torn_tail(self) -> str:
        """A line that a crash left incomplete moves to ``<log>.torn``; its SHA-256, or an empty string."""
        size = os.fstat(self._file).st_size
        tail = os.pread(self._file, min(size, TAIL), max(0, size - TAIL))
        torn = tail[tail.rfind(b"\n") + 1 :]
        if not torn:
            return ""
        with self.path.with_suffix(".torn").open("ab") as aside:
            aside.write(torn + b"\n")
        os.ftruncate(self._file, size - len(torn))
        return hashlib.sha256(torn).hexdigest()

    def _find_head(self) -> Head:
        last = _last_line(self._file)
        if not last:
            return Head()
        try:
            record = read(last)
        except ValueError as error:
            raise Terminal("AuditDamaged", f"audit log {self.path}: last record: {error}") from error
        return Head(record["seq"], record["hash"])


def _write_all(file: int, line: bytes) -> None:
    written = os.write(file, line)
    if written < len(line):
        raise OSError(0, f"{written} of {len(line)} bytes written")
    os.fsync(file)


def _last_line(file: int) -> bytes:
    """The last line of a file that ends with a newline; read backwards, because logs grow long."""
    end = os.fstat(file).st_size
    tail, start = b"", end
    while start > 0 and tail.count(b"\n") < 2:
        step = min(start, TAIL)
        start -= step
        tail = os.pread(file, step, start) + tail
    return tail[tail.rfind(b"\n", 0, len(tail) - 1) + 1 :]

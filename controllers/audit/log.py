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

from controllers.audit.chain import PRUNED, SEALED, Entry, Head, link, read
from controllers.audit.codec import encode
from controllers.audit.segments import (
    RECEIPTS,
    SUFFIX,
    TAIL,
    Keeping,
    last_line,
    outlived,
    receipt,
    sealed,
    sealed_path,
)
from controllers.runtime.errors import Retryable, Terminal
from crds.v1alpha1.base import Resource
from crds.v1alpha1.labels import INCIDENT_LABEL

log = logging.getLogger(__name__)


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

    def __init__(self, directory: Path, controller: str, keeping: Keeping | None = None) -> None:
        """Open the log and find its head.

        Raises:
            Terminal: it cannot be written, another process holds it, or its last record is not as it was written.
        """
        self.path = directory / f"{controller}{SUFFIX}"
        self._controller = controller
        self._keeping = keeping or Keeping()
        self._lock = Lock()
        try:
            # Who anchors may write to that folder only, and cannot make it.
            (directory / RECEIPTS).mkdir(parents=True, exist_ok=True)
            # Held by a file of its own: the log itself changes its name when it is sealed.
            self._alone = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
            fcntl.flock(self._alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file = self._open()
            torn = self._cut_torn_tail()
            first, last = _first_record(self.path), self._last_record()
        except OSError as error:
            raise Terminal("AuditNotWritable", f"audit log {self.path}: {error.strerror or error}") from error
        self.head = Head(last["seq"], last["hash"]) if last else Head()
        self._first = first["seq"] if first else self.head.seq + 1
        self._since = datetime.fromisoformat(first["at"]) if first and "at" in first else None
        self._sealed = first is not None and last is not None and last["kind"] == SEALED
        if torn:
            # The crash is part of the record: what was lost cannot be told apart from a cut later on otherwise.
            self._append({"kind": "audit.recovered", "lost": f"sha256:{torn}"})

    def record(self, kind: str, about: Resource, inputs: dict[str, Any], decision: Any, now: datetime) -> None:
        """See the port."""
        metadata = about.metadata
        entry = {
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
        with self._lock:
            if self._sealed or self._is_full(now):
                self._rotate(now)
            self._since = self._since or now
            self._append(entry)

    def close(self) -> None:
        """Let another process have it."""
        os.close(self._file)
        os.close(self._alone)

    def _open(self) -> int:
        return os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def _is_full(self, now: datetime) -> bool:
        if self._since is None:
            return False
        old = now - self._since >= self._keeping.segment_age
        return old or os.fstat(self._file).st_size >= self._keeping.segment_bytes

    def _rotate(self, now: datetime) -> None:
        """Seal the file and begin another. Each step may fail or crash; the next record takes up where it ended."""
        if not self._sealed:
            self._append({"kind": SEALED, "at": now.isoformat(), "controller": self._controller, "first": self._first})
            self._sealed = True
        target = sealed_path(self.path, self._first)
        try:
            if not target.exists():
                os.fchmod(self._file, 0o440)
                self.path.rename(target)
            fresh = self._open()
            _sync_directory(self.path.parent)
        except OSError as error:
            raise Retryable("AuditNotWritable", f"audit log {self.path}: {error.strerror or error}") from error
        os.close(self._file)
        self._file, self._sealed, self._first, self._since = fresh, False, self.head.seq + 1, now
        self._prune(now)

    def _prune(self, now: datetime) -> None:
        """Let go what has outlived its retention. What cannot go stays, and keeps nothing from being recorded."""
        if self._keeping.retention is None:
            return
        try:
            old = outlived(self.path, self._keeping.retention, now)
            if old:
                heads = [{"first": one.first, "seq": one.head.seq, "hash": one.head.digest} for one in old]
                self._append({"kind": PRUNED, "at": now.isoformat(), "controller": self._controller, "segments": heads})
            for one in old:
                one.path.unlink()
                receipt(one.path).unlink(missing_ok=True)
        except (OSError, ValueError) as error:
            log.warning("audit log %s: segments stay beyond their retention: %s", self.path, error)

    def _append(self, entry: dict[str, Any]) -> None:
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
        size = start = os.fstat(self._file).st_size
        torn = b""
        # A record holds all that a decision rested on, which may be megabytes.
        while start > 0 and b"\n" not in torn:
            step = min(start, TAIL)
            start -= step
            torn = os.pread(self._file, step, start) + torn
        torn = torn[torn.rfind(b"\n") + 1 :]
        if not torn:
            return ""
        with self.path.with_suffix(".torn").open("ab") as aside:
            aside.write(torn + b"\n")
        os.ftruncate(self._file, size - len(torn))
        return hashlib.sha256(torn).hexdigest()

    def _last_record(self) -> Entry | None:
        """Of the written file, or of the newest sealed one while that is empty; None for a log that begins."""
        files = [*sealed(self.path), self.path]
        for path in reversed(files):
            line = last_line(path)
            if line:
                return self._trusted(path, line)
        return None

    def _trusted(self, path: Path, line: bytes) -> Entry:
        try:
            return read(line)
        except ValueError as error:
            raise Terminal("AuditDamaged", f"audit log {path}: last record: {error}") from error


def _first_record(path: Path) -> Entry | None:
    """None for an empty file, and for a damaged first line, which verification tells of."""
    with path.open("rb") as file:
        line = file.readline()
    try:
        return read(line) if line else None
    except ValueError:
        return None


def _sync_directory(directory: Path) -> None:
    """A name is as durable as its directory."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_all(file: int, line: bytes) -> None:
    written = os.write(file, line)
    if written < len(line):
        raise OSError(0, f"{written} of {len(line)} bytes written")
    os.fsync(file)

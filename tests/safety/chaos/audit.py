"""The judge: what the API server recorded of the executor's writes to workloads."""

from __future__ import annotations

import json
import os
import threading
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

EXECUTOR = "system:serviceaccount:iirp-system:iirp-execution"
RECORDS = {"actionplans", "events"}


@dataclass(frozen=True)
class Recorded:
    """One request of the executor that would have changed a workload."""

    verb: str
    resource: str
    name: str
    code: int

    @property
    def done(self) -> bool:
        """The API server carried it out."""
        return self.code < 300


class AuditTail:
    """Follows the API server's audit log, over its rotation too."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._file: IO[str] = path.open(encoding="utf-8")
        self._file.seek(0, 2)
        self._rest = ""
        self._found: dict[str, list[Recorded]] = defaultdict(list)

    def of(self, namespace: str) -> list[Recorded]:
        """The executor's writes in that namespace so far, dry runs left out."""
        with self._lock:
            self._read()
            return list(self._found[namespace])

    def _read(self) -> None:
        while True:
            for line in self._lines():
                self._note(line)
            if self._path.stat().st_ino == _inode(self._file):
                return
            self._file.close()
            self._file, self._rest = self._path.open(encoding="utf-8"), ""

    def _lines(self) -> list[str]:
        text = self._rest + self._file.read()
        lines = text.split("\n")
        self._rest = lines.pop()
        return lines

    def _note(self, line: str) -> None:
        if EXECUTOR not in line or '"verb":"get"' in line:
            return
        event: dict[str, Any] = json.loads(line)
        about = event.get("objectRef") or {}
        ours = event["user"]["username"] == EXECUTOR and event["stage"] == "ResponseComplete"
        changing = event["verb"] in {"create", "update", "patch", "delete", "deletecollection"}
        if ours and changing and "dryRun" not in event["requestURI"] and about.get("resource") not in RECORDS:
            code = event.get("responseStatus", {}).get("code", 0)
            recorded = Recorded(event["verb"], _resource(about), about.get("name", ""), code)
            self._found[about.get("namespace", "")].append(recorded)


def _resource(about: dict[str, Any]) -> str:
    return "/".join(part for part in (about.get("resource"), about.get("subresource")) if part)


def _inode(file: IO[str]) -> int:
    return os.fstat(file.fileno()).st_ino

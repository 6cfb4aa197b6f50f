"""The record on the page: who decided what, from the objects, and whether the hash-chained log is whole.

The log holds the objects of all namespaces as they were; of its records only those are shown that are about a namespace
whose plans the person may list (SelfSubjectAccessReview), and of them the heads only, never the inputs.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Response
from pydantic import ValidationError

from analysis.web.guard import ChosenNamespace, Person, person_router
from analysis.web.reader import Reader
from analysis.web.sessions import Session
from controllers.audit.chain import Verification, verify
from controllers.audit.segments import lines_of, logs_of
from crds.v1alpha1.approval import Approval

if TYPE_CHECKING:
    from analysis.web.pages import Pages

__all__ = ["Log", "Record", "audit_routes", "read_logs"]

MAX_LOG_BYTES = 64 << 20
MAX_RECORDS = 200
MAX_NAMESPACES = 50
"""Access reviews for one page."""


@dataclass(frozen=True, slots=True)
class Record:
    """The head of one decision in a log."""

    at: str
    controller: str
    kind: str
    step: str
    incident: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Log:
    """One controller's log. ``found`` is None where it is too large to be looked through here; ``problem`` says so."""

    name: str
    found: Verification | None
    records: tuple[Record, ...]
    """Newest last, at most :data:`MAX_RECORDS` of each namespace's."""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """One person's word, from an Approval."""

    approval: Approval
    by: str
    verdict: str
    reason: str


def audit_routes(pages: Pages) -> APIRouter:
    """`/audit`."""
    router = person_router()
    cache = _Cache()

    @router.get("/audit")
    async def audit(session: Person, namespace: ChosenNamespace) -> Response:
        said = _said(await pages.reader.everything(session.token, "approvals", namespace))
        logs = await asyncio.to_thread(cache.read, pages.settings.audit_dir) if pages.settings.audit_dir else None
        shown = await _visible(pages.reader, session, logs or (), namespace)
        return pages.render("audit.html", session, said=said, logs=logs, records=shown, namespace=namespace)

    return router


def read_logs(directory: Path) -> tuple[Log, ...]:
    """Verify every log of a directory, each over all its files."""
    return tuple(_read(f"{name}.jsonl", files) for name, files in logs_of([directory]).items())


class _Cache:
    """The logs as last read, until a file changes: verifying costs a hash for each record."""

    def __init__(self) -> None:
        self._stamp: tuple[tuple[str, int, int], ...] | None = None
        self._logs: tuple[Log, ...] = ()

    def read(self, directory: Path) -> tuple[Log, ...]:
        states = [(path, path.stat()) for path in sorted(directory.glob("*.jsonl"))]
        stamp = tuple((str(path), state.st_size, state.st_mtime_ns) for path, state in states)
        if stamp != self._stamp:
            self._logs, self._stamp = read_logs(directory), stamp
        return self._logs


def _read(name: str, files: list[Path]) -> Log:
    try:
        if sum(path.stat().st_size for path in files) > MAX_LOG_BYTES:
            problem = f"larger than {MAX_LOG_BYTES >> 20} MiB: use `iirp audit verify {files[0].parent}`"
            return Log(name, None, (), problem)
        lines = list(lines_of(files))
    except OSError as error:
        return Log(name, None, (), str(error.strerror))
    return Log(name, verify(lines), tuple(_heads(lines)))


def _heads(lines: Iterable[bytes]) -> list[Record]:
    kept: dict[str, list[Record]] = {}
    for line in lines:
        try:
            body = json.loads(line)
        except ValueError:
            continue  # verification tells of it
        if not isinstance(body, dict) or "decision" not in body:
            continue
        about = body.get("about") or {}
        words = (body.get("at"), body.get("controller"), body.get("kind"), body.get("step"), body.get("incident"))
        record = Record(*(str(word or "") for word in (*words, about.get("namespace"), about.get("name"))))
        mine = kept.setdefault(record.namespace, [])
        mine.append(record)
        del mine[:-MAX_RECORDS]
    return [record for mine in kept.values() for record in mine]


async def _visible(reader: Reader, session: Session, logs: Iterable[Log], namespace: str) -> tuple[Record, ...]:
    """Records of namespaces that the person may look into, newest first."""
    records = [one for log in logs for one in log.records if namespace in {"", one.namespace}]
    if not records:
        return ()
    if not await reader.may_list(session.token, "actionplans"):
        names = sorted({one.namespace for one in records if one.namespace})[:MAX_NAMESPACES]
        allowed = await asyncio.gather(*(reader.may_list(session.token, "actionplans", name) for name in names))
        seen = {name for name, may in zip(names, allowed, strict=True) if may}
        records = [one for one in records if one.namespace in seen]
    return tuple(sorted(records, key=lambda one: one.at, reverse=True)[:MAX_RECORDS])


def _said(found: list[dict[str, Any]]) -> tuple[Said, ...]:
    """Every decision of a person, those about the newest approvals first."""
    said: list[Said] = []
    for item in found:
        try:
            approval = Approval.from_wire(item)
        except ValidationError:
            continue  # of another version; it does not hide the others
        said += [Said(approval, one.by, one.verdict.value, one.reason) for one in approval.spec.decisions]
    return tuple(sorted(said, key=lambda one: _created(one.approval), reverse=True)[:MAX_RECORDS])


def _created(approval: Approval) -> float:
    created: datetime | None = approval.metadata.creation_timestamp
    return created.timestamp() if created else 0.0

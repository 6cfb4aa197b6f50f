"""What opens no Incident for now: silences that people annotate, and maintenance windows that come again. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Annotated

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from controllers.detection.inventory import Cluster
from controllers.kube.objects import NodeRecord, Record, ServiceRecord, WorkloadRecord
from controllers.runtime.windows import describe, within, zone
from crds.v1alpha1.actionpolicy import TimeWindow
from crds.v1alpha1.base import TargetRef

Identity = tuple[str, str, str]
"""Kind, namespace, name."""


class MaintenanceWindow(TimeWindow):
    """A time that comes again, in which faults of these namespaces are expected."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=63)]
    namespaces: Annotated[list[str], Field(min_length=1, max_length=64)]
    """Names, or patterns with ``*``; an empty string stands for what belongs to no namespace, such as nodes."""
    reason: Annotated[str, StringConstraints(max_length=300)] = ""


@dataclass(frozen=True)
class Silences:
    """All that hold now. ``refused``: annotations that cannot be read, in words; they silence nothing."""

    targets: Mapping[Identity, str] = field(default_factory=dict)
    namespaces: Mapping[str, str] = field(default_factory=dict)
    windows: tuple[tuple[MaintenanceWindow, str], ...] = ()
    refused: tuple[str, ...] = ()

    def of(self, target: TargetRef) -> str:
        """Why faults of ``target`` open no Incident now; empty when they do."""
        found = self.targets.get((target.kind, target.namespace, target.name)) or self.namespaces.get(target.namespace)
        if found:
            return found
        for window, why in self.windows:
            if any(fnmatchcase(target.namespace, pattern) for pattern in window.namespaces):
                return why
        return ""


def read_windows(text: str) -> tuple[MaintenanceWindow, ...]:
    """``IIRP_MAINTENANCE_WINDOWS``: a JSON list.

    Raises:
        ValueError: it is not one, or a window or its time zone is wrong.
    """
    if not text.strip():
        return ()
    try:
        found = TypeAdapter(tuple[MaintenanceWindow, ...]).validate_python(json.loads(text))
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error
    for window in found:
        zone(window.time_zone)
    return found


def silences(
    cluster: Cluster, namespaces: Sequence[Record], windows: Iterable[MaintenanceWindow], now: datetime
) -> Silences:
    """What holds at ``now``."""
    refused: list[str] = []
    targets: dict[Identity, str] = {}
    services = (backed.service for backed in cluster.services)
    known: tuple[WorkloadRecord | ServiceRecord | NodeRecord, ...] = (*cluster.workloads, *services, *cluster.nodes)
    for one in known:
        why = _annotated(one, now, refused)
        if why:
            target = one.target()
            targets[target.kind, target.namespace, target.name] = why
    spaces = {one.name: why for one in namespaces if (why := _annotated(one, now, refused))}
    open_now = tuple((one, _words(one)) for one in windows if within(one, now))
    return Silences(targets, spaces, open_now, tuple(refused))


def _annotated(record: Record, now: datetime, refused: list[str]) -> str:
    if record.silence is None:
        return ""
    text, reason = record.silence
    name = f"{record.namespace}/{record.name}".strip("/")
    try:
        until = datetime.fromisoformat(text)
    except ValueError:
        until = None
    if until is None or until.tzinfo is None:
        refused.append(f"{name}: iirp.io/silence-until={text[:40]!r} is no time such as 2026-11-22T19:00:00Z")
        return ""
    return f"{name} is silenced until {until.isoformat()}: {reason or 'no reason given'}" if now < until else ""


def _words(window: MaintenanceWindow) -> str:
    return f"maintenance window {window.name} ({describe(window)}): {window.reason or 'no reason given'}"

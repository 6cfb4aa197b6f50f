"""Reads Kubernetes events as facts: which are about the incident, and which about what stands around it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from analysis.contract import EventFact
from controllers.kube.facts import parse_time
from controllers.kube.resources import CORE_EVENTS
from crds.v1alpha1.base import Window

MAX_EVENTS = 50
SCALED, STOPPED = "ScalingReplicaSet", "Killing"
_SUFFIXES = r"(-[a-z0-9]{1,10})?-[a-z0-9]+"
"""What controllers add to a workload's name for a pod: a ReplicaSet's hash, and an ordinal or a random end."""


def job_of(event: Mapping[str, Any]) -> str:
    """The name of the Job that an event is about, if it is about one."""
    about = event.get("involvedObject") or {}
    return str(about.get("name") or "") if about.get("kind") == "Job" else ""


def event_facts(
    bodies: Iterable[Mapping[str, Any]], names: set[str], window: Window, workloads: Iterable[str] = ()
) -> tuple[tuple[EventFact, ...], tuple[EventFact, ...]]:
    """Events within the window (and after it: what followed matters too), newest kept.

    Args:
        bodies: Events (core/v1) of the namespace, or of the cluster's own objects.
        names: Of the objects that the incident is about.
        window: Around the onset.
        workloads: Names of those that are there.

    Returns:
        those of the objects in ``names``, and of all others the warnings, the scalings, and the ends of pods whose
        workload is not there any more.
    """
    there = re.compile(f"({'|'.join(map(re.escape, sorted(workloads)))})" + _SUFFIXES)
    own: list[EventFact] = []
    others: list[EventFact] = []
    for body in bodies:
        about, at = body.get("involvedObject") or {}, event_time(body)
        ours = (body.get("reportingComponent") or "").startswith("iirp.io/")  # our own story is no evidence
        if at is None or at < window.start - timedelta(minutes=1) or ours:
            continue
        mine = about.get("name") in names
        if not (mine or body.get("type") == "Warning" or body.get("reason") == SCALED or _orphaned(body, there)):
            continue
        (own if mine else others).append(
            EventFact(
                at=at,
                type=body.get("type") or "Normal",
                reason=body.get("reason") or "",
                message=(body.get("message") or "")[:1024],
                object=f"{about.get('kind', '')}/{about.get('name', '')}",
                count=max(int(body.get("count") or (body.get("series") or {}).get("count") or 1), 1),
                reference=CORE_EVENTS.path(body["metadata"].get("namespace", ""), body["metadata"]["name"]),
            )
        )
    return _newest(own), _newest(others)


def _orphaned(body: Mapping[str, Any], there: re.Pattern[str]) -> bool:
    """Whether a pod was stopped whose name no workload that is there would give: someone deleted its workload."""
    about = body.get("involvedObject") or {}
    stopped = body.get("reason") == STOPPED and about.get("kind") == "Pod"
    return stopped and there.fullmatch(str(about.get("name") or "")) is None


def _newest(events: list[EventFact]) -> tuple[EventFact, ...]:
    return tuple(sorted(events, key=lambda item: (item.at, item.reference))[-MAX_EVENTS:])


def event_time(body: Mapping[str, Any]) -> datetime | None:
    """When it last happened, whichever API it was written through."""
    series = body.get("series") or {}
    for text in (
        series.get("lastObservedTime"),
        body.get("lastTimestamp"),
        body.get("eventTime"),
        body.get("firstTimestamp"),
    ):
        moment = parse_time(text)
        if moment is not None:
            return moment
    return parse_time(body["metadata"].get("creationTimestamp"))

"""From alerts to findings about objects that we know. Pure.

A name that no label of ours confirms opens nothing: labels come from whoever writes rules, or from whoever reaches the
webhook, and an Incident must be about something that exists.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from analysis.alerts.payload import Alert
from analysis.contract import Candidate
from analysis.detect.finding import Finding, Observed, candidate
from analysis.detect.signals import SCOPES
from analysis.words import line
from crds.v1alpha1.base import Scope, Severity, TargetRef

CONFIDENCE = 70
MAX_SHOWN = 4
SEVERITIES = {
    "critical": Severity.CRITICAL,
    "page": Severity.CRITICAL,
    "error": Severity.HIGH,
    "high": Severity.HIGH,
    "warning": Severity.MEDIUM,
    "medium": Severity.MEDIUM,
    "low": Severity.LOW,
    "info": Severity.LOW,
}
IGNORED = frozenset({"none"})
"""Severity of alerts that fire always (Watchdog) or only mute others (InfoInhibitor)."""
WORKLOAD_LABELS = {"deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet"}


@dataclass(frozen=True, slots=True)
class Objects:
    """What is known, by namespace and name."""

    pods: Mapping[tuple[str, str], TargetRef]
    """The workload of each pod."""
    workloads: Mapping[tuple[str, str, str], TargetRef]
    """By kind too."""
    services: Mapping[tuple[str, str], TargetRef]
    nodes: Mapping[str, TargetRef]


def objects(observed: Observed) -> Objects:
    """From the topology."""
    workloads = {(pod.workload.kind, *key[:1], pod.workload.name): pod.workload for key, pod in observed.pods.items()}
    for service in observed.services:
        workloads |= {(one.kind, one.namespace, one.name): one for one in service.workloads}
    return Objects(
        pods={key: pod.workload for key, pod in observed.pods.items()},
        workloads=workloads,
        services={
            (one.namespace, one.name): TargetRef(
                api_version="v1", kind="Service", namespace=one.namespace, name=one.name, uid=one.uid
            )
            for one in observed.services
        },
        nodes={
            name: TargetRef(api_version="v1", kind="Node", name=name, uid=node.uid)
            for name, node in observed.nodes.items()
        },
    )


def target_of(labels: Mapping[str, str], known: Objects) -> TargetRef | None:
    """The most specific object that the labels name and that exists."""
    space = labels.get("namespace") or labels.get("exported_namespace") or ""
    for label, kind in WORKLOAD_LABELS.items():
        if (kind, space, labels.get(label, "")) in known.workloads:
            return known.workloads[kind, space, labels[label]]
    for label in ("pod", "exported_pod", "pod_name"):
        if (space, labels.get(label, "")) in known.pods:
            return known.pods[space, labels[label]]
    for label in ("service", "exported_service", "destination_service_name"):
        if (space, labels.get(label, "")) in known.services:
            return known.services[space, labels[label]]
    for label in ("node", "nodename", "kubernetes_node", "instance"):
        if (name := labels.get(label, "").partition(":")[0]) in known.nodes:
            return known.nodes[name]
    return None


def alert_candidates(alerts: Iterable[Alert], observed: Observed) -> tuple[tuple[Candidate, ...], int]:
    """One candidate per alert name and target, and how many alerts are about nothing that is known."""
    known = objects(observed)
    groups: dict[tuple[str, str, str, str], list[tuple[Alert, TargetRef]]] = {}
    unmapped = 0
    for alert in alerts:
        if alert.labels.get("severity", "").lower() in IGNORED:
            continue
        target = target_of(alert.labels, known)
        if target is None:
            unmapped += 1
        else:
            key = (_type(alert), target.kind, target.namespace, target.name)
            groups.setdefault(key, []).append((alert, target))
    return tuple(_candidate(key[0], groups[key], observed) for key in sorted(groups)), unmapped


def _type(alert: Alert) -> str:
    """The alert's name as a word of ours."""
    word = re.sub(r"[^A-Za-z0-9]+", "", alert.labels.get("alertname", ""))[:63]
    return word if re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", word) else "ExternalAlert"


def _candidate(kind: str, alerts: list[tuple[Alert, TargetRef]], observed: Observed) -> Candidate:
    newest, target = alerts[-1]
    severities = [SEVERITIES.get(alert.labels.get("severity", "").lower(), Severity.MEDIUM) for alert, _ in alerts]
    said = (
        newest.annotations.get("summary") or newest.annotations.get("description") or newest.annotations.get("message")
    )
    name = newest.labels.get("alertname", kind)
    pods = {alert.labels.get("pod", "") for alert, _ in alerts}
    finding = Finding(
        type=kind,
        target=target,
        firing=True,
        severity=max(severities, key=list(Severity).index),
        confidence_percent=CONFIDENCE,
        summary=f"alert {name} fires{f' {len(alerts)} times' if len(alerts) > 1 else ''}{f': {said}' if said else ''}",
        onset=min(min(alert.starts_at.timestamp() for alert, _ in alerts), observed.now),
        seen_at=observed.now,
        pods=tuple(sorted(pod for pod in pods if (target.namespace, pod) in observed.pods)),
        events=tuple(_event(alert) for alert, _ in alerts[-MAX_SHOWN:]),
        count=len(alerts),
        scope=SCOPES.get(target.kind, Scope.WORKLOAD),
    )
    return candidate(finding, f"alertmanager/{name}")


def _event(alert: Alert) -> str:
    labels = " ".join(f"{name}={value}" for name, value in sorted(alert.labels.items()) if name != "alertname")
    return line(f"{alert.starts_at.isoformat(timespec='seconds')} {alert.labels.get('alertname', '')} {labels}")

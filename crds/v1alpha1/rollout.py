"""How far a workload is with what its spec says, as ``kubectl rollout status`` decides it. Pure."""

from __future__ import annotations

import re

from crds.v1alpha1.digest import JsonObject

REVISION_ANNOTATION = "deployment.kubernetes.io/revision"
_REVISION = re.compile(r"[1-9][0-9]{0,17}")
"""Fits 64 bits."""


def complete(kind: str, body: JsonObject) -> bool:
    """The controller has seen the spec, all pods are of the newest revision, and all are available."""
    metadata, status = body["metadata"], body.get("status") or {}
    if int(status.get("observedGeneration", 0)) < int(metadata.get("generation", 0)):
        return False
    if kind == "DaemonSet":
        wanted = int(status.get("desiredNumberScheduled", 0))
        return all(int(status.get(name, 0)) >= wanted for name in ("updatedNumberScheduled", "numberAvailable"))
    wanted = replicas(body)
    if kind == "StatefulSet":
        return _stateful_set(body, status, wanted)
    if kind == "ReplicaSet":
        return int(status.get("readyReplicas", 0)) >= wanted
    counts = [int(status.get(name, 0)) for name in ("updatedReplicas", "replicas", "availableReplicas")]
    return all(count == wanted for count in counts)


def stalled(body: JsonObject) -> str:
    """Kubernetes' own word that a rollout makes no progress; only Deployments have one."""
    for condition in (body.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return str(condition.get("message") or "progress deadline exceeded")
    return ""


def summary(kind: str, body: JsonObject) -> str:
    """``revision 3, 2/2 available``."""
    status = body.get("status") or {}
    if kind == "DaemonSet":
        return f"{int(status.get('numberAvailable', 0))}/{int(status.get('desiredNumberScheduled', 0))} available"
    if kind in ("StatefulSet", "ReplicaSet"):
        return f"{int(status.get('readyReplicas', 0))}/{replicas(body)} ready"
    return f"revision {revision(body) or '?'}, {int(status.get('availableReplicas', 0))}/{replicas(body)} available"


def revision(body: JsonObject) -> int:
    """Number of a Deployment's present revision, or of the one that a ReplicaSet keeps; 0 for none."""
    return revision_number(str((body["metadata"].get("annotations") or {}).get(REVISION_ANNOTATION, "")))


def revision_number(text: str) -> int:
    """The number that a revision's text stands for; 0 for none. Anybody who edits a workload may write any text."""
    return int(text) if _REVISION.fullmatch(text) else 0


def replicas(body: JsonObject) -> int:
    """Wanted pods; the API server's own default where a client left it out."""
    return int(body["spec"].get("replicas", 1))


def _stateful_set(body: JsonObject, status: JsonObject, wanted: int) -> bool:
    if int(status.get("readyReplicas", 0)) != wanted or int(status.get("replicas", 0)) != wanted:
        return False
    partition = int(((body["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition") or 0)
    if partition > 0:
        return int(status.get("updatedReplicas", 0)) >= wanted - partition
    return bool(status.get("updateRevision") == status.get("currentRevision"))

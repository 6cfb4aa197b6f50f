"""How a workload is, and who has changed it, from the object that the API server serves. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from controllers.feedback.observed import TargetState
from controllers.kube.facts import parse_time
from crds.v1alpha1 import rollout
from crds.v1alpha1.base import TargetRef

OWN_MANAGERS = ("iirp-", "kube-controller-manager")


def state_of(target: TargetRef, body: Mapping[str, Any], since: datetime) -> TargetState:
    """A workload that was read."""
    if target.uid and body["metadata"].get("uid") != target.uid:
        return TargetState(target, complete=False, words=f"{target.short()} is another object now")
    some = target.kind == "DaemonSet" or rollout.replicas(body) > 0
    return TargetState(
        target,
        complete=some and rollout.complete(target.kind, body),
        words=f"{target.short()}: {rollout.summary(target.kind, body)}",
        changed_by=_changed_by(body["metadata"].get("managedFields") or (), since),
    )


def _changed_by(entries: Iterable[Mapping[str, Any]], since: datetime) -> str:
    """Managed fields have whole seconds, so the second of the action itself is the action's."""
    for entry in entries:
        manager, at = str(entry.get("manager") or ""), parse_time(entry.get("time"))
        spec = "f:spec" in (entry.get("fieldsV1") or {})
        if spec and at is not None and at > since and not manager.startswith(OWN_MANAGERS):
            return manager
    return ""

"""The workload that an incident is about, also when its target is a Service, a volume or a pod. Pure."""

from __future__ import annotations

from analysis.contract import RcaRequest
from analysis.workloads import family
from crds.v1alpha1.base import TargetRef

INDIRECT = frozenset({"Service", "PersistentVolumeClaim", "Pod"})


def subjects_of(request: RcaRequest) -> tuple[TargetRef, ...]:
    """The target itself; for a Service what it selects, for a volume or a pod the workload of the pods.

    Falls back to the target when nothing is known of what stands behind it.
    """
    target = request.incident.target
    if target.kind not in INDIRECT:
        return (target,)
    found = [one for service in request.services if service.name == target.name for one in service.matches]
    if target.kind != "Service" or not found:
        names = {family(pod.name) for pod in request.pods}
        found = [one.target for one in request.workloads if one.target.name in names]
    return tuple(sorted(found, key=lambda one: (one.kind, one.name))) or (target,)

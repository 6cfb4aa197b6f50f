"""Which pods belong to a workload, by the names that Kubernetes' controllers give them.

Deterministic from the workload alone, so that a stored query still finds its pods after they have been replaced.
"""

from __future__ import annotations

import re

from analysis.telemetry.query import Matcher, equal, literal, matching
from crds.v1alpha1.base import TargetRef

_SUFFIX = {
    "Deployment": "-[a-z0-9]{1,10}-[a-z0-9]{5}",
    "ReplicaSet": "-[a-z0-9]{5}",
    "StatefulSet": "-[0-9]+",
    "DaemonSet": "-[a-z0-9]{5}",
    "Job": "-[a-z0-9]{5}",
    "CronJob": "-[0-9]+-[a-z0-9]{5}",
}


def pod_matcher(target: TargetRef, label: str = "pod") -> Matcher:
    """Label matcher for the pods of a workload, past and present."""
    if target.kind not in _SUFFIX:
        return equal(label, target.name)
    return matching(label, literal(target.name) + _SUFFIX[target.kind])


def owns(target: TargetRef, pod: str) -> bool:
    """Whether a pod's name is one that this workload's controller would give."""
    return re.fullmatch(re.escape(target.name) + _SUFFIX.get(target.kind, ""), pod) is not None


def family(pod: str) -> str:
    """A workload name for a pod of which only the name is known: generated suffixes cut off."""
    return re.sub(r"(-[a-z0-9]{8,10}-[a-z0-9]{5}|-[a-z0-9]{5}|-[0-9]+)$", "", pod)

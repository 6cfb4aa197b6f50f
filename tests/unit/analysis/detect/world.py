"""A small cluster to observe."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np

from analysis.contract import ApiSignal, PodFact
from analysis.detect.finding import Observed
from crds.v1alpha1.base import TargetRef
from tests.unit.analysis.shapes import END, MIB, block

LIMIT = 256.0


def deployment(name: str) -> TargetRef:
    return TargetRef(kind="Deployment", namespace="shop", name=name, uid=f"uid-{name}")


def pods(*names: str) -> dict:
    """Pods named workload-hash-id belong to Deployment workload."""
    return {
        ("shop", name): PodFact(
            namespace="shop", name=name, uid=name, workload=deployment(name.rsplit("-", 2)[0]), containers=("app",)
        )
        for name in names
    }


def observed(
    series: Mapping[str, tuple], *, now: float = END, limit: float = LIMIT, signals=(), known=None, started=None
) -> Observed:
    """Working sets by pod name, each beside its limit."""
    keyed = {(pod, "app"): samples for pod, samples in series.items()}
    limits = {key: (times, np.full(len(times), limit * MIB)) for key, (times, _) in keyed.items()}
    return Observed(
        now=now,
        pods=pods(*series) if known is None else pods(*known),
        signals=tuple(signals),
        started={("shop", pod, "app"): at for pod, at in (started or {}).items()},
        blocks={
            "container_memory_working_set_bytes": block(keyed, end=now),
            "container_spec_memory_limit_bytes": block(limits, end=now),
        },
    )


def signal(kind: str, pod: str, at: float, *, count: int = 1) -> ApiSignal:
    return ApiSignal(
        type=kind,
        target=deployment(pod.rsplit("-", 2)[0]),
        pod=pod,
        container="app",
        at=datetime.fromtimestamp(at, tz=UTC),
        count=count,
    )

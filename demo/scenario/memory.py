"""How much memory the platform takes while scenarios run: pods by the kubelet's word, the external side by /proc."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from demo.driver.kubectl import Kubectl
from external.plane import ExternalPlane

__all__ = ["Figures", "Memory", "figures", "pod_sizes", "resident"]

_INTERVAL = 15.0
_MIB = 1 << 20
_LETTERS = "[bcdfghjklmnpqrstvwxz2456789]"
_GENERATED = re.compile(f"(-{_LETTERS}{{6,10}})?-{_LETTERS}{{5}}$")
"""What Kubernetes adds to the name of a Deployment's or DaemonSet's pod."""

Sample = tuple[datetime, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Figures:
    """MiB of one part over a time."""

    first: float
    highest: float
    last: float


class Memory:
    """Looks every 15 s while it is open. A part that does not run has no sample then."""

    def __init__(self, kubectl: Kubectl, node: str, namespace: str, external: ExternalPlane | None) -> None:
        self._kubectl = kubectl
        self._node = node
        self._namespace = namespace
        self._external = external
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="memory", daemon=True)
        self.samples: list[Sample] = []

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=60)

    def _work(self) -> None:
        while True:
            self.samples.append((datetime.now(UTC), {**self._pods(), **self._parts()}))
            if self._stop.wait(_INTERVAL):
                return

    def _pods(self) -> dict[str, float]:
        done = self._kubectl.attempt("get", "--raw", f"/api/v1/nodes/{self._node}/proxy/stats/summary")
        return pod_sizes(json.loads(done.stdout), self._namespace) if done.returncode == 0 else {}

    def _parts(self) -> dict[str, float]:
        parts = self._external.table.records() if self._external is not None else []
        sizes = {f"external {part.name}": resident(part.pid) for part in parts if part.alive()}
        return {name: size for name, size in sizes.items() if size is not None}


def pod_sizes(summary: dict[str, Any], namespace: str) -> dict[str, float]:
    """MiB of working set by pod name without its generated ends, from the kubelet's summary."""
    found: dict[str, float] = {}
    for pod in summary.get("pods", ()):
        reference = pod.get("podRef", {})
        size = pod.get("memory", {}).get("workingSetBytes")
        if reference.get("namespace") == namespace and size is not None:
            name = _GENERATED.sub("", str(reference["name"]))
            found[name] = max(found.get(name, 0.0), float(size) / _MIB)
    return found


def resident(pid: int) -> float | None:
    """MiB that a process holds; None when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    sizes = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
    return float(sizes[0]) / 1024 if sizes else None


def figures(samples: Sequence[Sample], start: datetime, end: datetime) -> dict[str, Figures]:
    """By part, over the samples of that time; largest first."""
    series: dict[str, list[float]] = {}
    for at, sizes in samples:
        if start <= at <= end:
            for name, size in sizes.items():
                series.setdefault(name, []).append(round(size, 1))
    found = {name: Figures(sizes[0], max(sizes), sizes[-1]) for name, sizes in series.items()}
    return dict(sorted(found.items(), key=lambda item: -item[1].highest))

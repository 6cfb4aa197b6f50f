"""Waits for a namespace's workloads, and gives up early, with the container's own last words, when one cannot start."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from demo.driver.chain import printable
from demo.driver.errors import DemoFailed
from demo.driver.kubectl import Kubectl

__all__ = ["failing", "unready", "wait_ready"]

_INTERVAL = 1.0
_HOPELESS = {"ErrImageNeverPull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError"}
_RESTARTS = 4
"""Crashes that are forgiven: at first, what a controller needs may not be there yet."""

Wire = Mapping[str, Any]


def wait_ready(kubectl: Kubectl, namespace: str, timeout: float) -> None:
    """Until every Deployment and DaemonSet runs what it should. DemoFailed names the first that does not, and why."""
    deadline = time.monotonic() + timeout
    while True:
        items = kubectl.json("get", "deployments,daemonsets,pods", "-n", namespace)["items"]
        waiting = unready(items)
        if not waiting:
            return
        pod = failing(items)
        if pod is not None or time.monotonic() > deadline:
            break
        time.sleep(_INTERVAL)
    shown = kubectl.shown("describe", "pods", "-n", namespace)
    if pod is None:
        raise DemoFailed(f"starting {namespace}", f"{', '.join(waiting)} not ready within {timeout:.0f} s", shown)
    name, reason = pod
    done = kubectl.attempt("logs", name, "-n", namespace, "--all-containers", "--tail=8", "--prefix=false")
    lines = "".join(f"\n  | {printable(line)}" for line in done.stdout.splitlines()[-8:])
    raise DemoFailed(f"starting {namespace}", f"pod {name}: {reason}{lines}", shown)


def unready(items: Sequence[Wire]) -> list[str]:
    """Deployments and DaemonSets whose latest generation is not rolled out."""
    found = []
    for item in items:
        kind, status = item["kind"], item.get("status", {})
        if kind == "Deployment":
            wanted = item["spec"].get("replicas", 1)
            have = min(status.get("updatedReplicas", 0), status.get("availableReplicas", 0))
        elif kind == "DaemonSet":
            wanted = status.get("desiredNumberScheduled", 1)
            have = min(status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0))
        else:
            continue
        observed = status.get("observedGeneration", 0) >= item["metadata"].get("generation", 0)
        extra = status.get("replicas", 0) > wanted if kind == "Deployment" else False
        if have < wanted or not observed or extra:
            found.append(f"{kind.lower()}/{item['metadata']['name']}")
    return found


def failing(items: Sequence[Wire]) -> tuple[str, str] | None:
    """A pod that will not come up by waiting, with the reason; pods about to go do not count."""
    for item in items:
        if item["kind"] != "Pod" or "deletionTimestamp" in item["metadata"]:
            continue
        for status in item.get("status", {}).get("containerStatuses", ()):
            reason = status.get("state", {}).get("waiting", {}).get("reason", "")
            crashes = reason == "CrashLoopBackOff" and status.get("restartCount", 0) >= _RESTARTS
            if reason in _HOPELESS or crashes:
                return str(item["metadata"]["name"]), str(reason)
    return None

"""What a caller may do: RBAC, asked per call (SubjectAccessReview) and for the caller's own identity, within a rate."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from mcp.server.mcpserver.exceptions import ToolError
from prometheus_client import CollectorRegistry, Counter

from controllers.kube.api import Kube
from controllers.kube.resources import ACCESS_REVIEWS, ResourceType
from controllers.mcp.identity import MANAGER, Caller, caller

log = logging.getLogger(__name__)

MAX_CALLERS = 1024
CHANGE_COST = 10.0


class RateLimit:
    """A bucket of tokens per caller, full at first; those who call least are forgotten first. Thread-safe."""

    def __init__(self, per_minute: float, clock: Callable[[], float]) -> None:
        self._capacity = per_minute
        self._clock = clock
        self._lock = Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str, cost: float = 1.0) -> float:
        """0 when the call may go on, else the seconds until it may."""
        with self._lock:
            now = self._clock()
            left, at = self._buckets.pop(who, (self._capacity, now))
            left = min(self._capacity, left + (now - at) * self._capacity / 60)
            allowed = left >= min(cost, self._capacity)
            self._buckets[who] = (left - min(cost, self._capacity) if allowed else left, now)
            if len(self._buckets) > MAX_CALLERS:
                self._buckets.popitem(last=False)
            return 0.0 if allowed else (min(cost, self._capacity) - left) * 60 / self._capacity


class Gate:
    """Every tool asks here first, with the verb and resource that ``kubectl`` would need for the same."""

    def __init__(self, kube: Kube, limit: RateLimit, registry: CollectorRegistry) -> None:
        self._kube = kube
        self._limit = limit
        self._calls = Counter("iirp_mcp_calls_total", "Tool calls by result.", ["tool", "result"], registry=registry)

    def admit(
        self, tool: str, verb: str, resource: ResourceType, namespace: str, name: str = "", *, changes: bool = False
    ) -> Caller:
        """The caller, who may do this.

        Raises:
            ToolError: too many calls, or RBAC refuses; says what is missing.
            KubeError: the API server could not be asked.
        """
        who = caller()
        if wait := self._limit.take(who.username, CHANGE_COST if changes else 1.0):
            self._told(tool, who, namespace, name, "limited")
            raise ToolError(f"too many calls; again in {wait:.0f} s")
        if not self._allowed(who, verb, resource, namespace, name):
            self._told(tool, who, namespace, name, "forbidden")
            where = f" in namespace {namespace}" if namespace else ""
            needs = f"needs the verb {verb} on {resource.plural}.{resource.group}"
            raise ToolError(f"{who.username} may not: {needs}{where}")
        self._told(tool, who, namespace, name, "allowed")
        return who

    def _allowed(self, who: Caller, verb: str, resource: ResourceType, namespace: str, name: str) -> bool:
        attributes = {"verb": verb, "group": resource.group, "version": resource.version, "resource": resource.plural}
        attributes |= {key: value for key, value in (("namespace", namespace), ("name", name)) if value}
        spec = {
            "user": who.username,
            "uid": who.uid,
            "groups": list(who.groups),
            "extra": {key: list(values) for key, values in who.extra.items()},
            "resourceAttributes": attributes,
        }
        status = self._kube.create_raw(ACCESS_REVIEWS, "", {"metadata": {}, "spec": spec}, manager=MANAGER).get(
            "status"
        )
        return (status or {}).get("allowed") is True and not (status or {}).get("denied")

    def _told(self, tool: str, who: Caller, namespace: str, name: str, result: str) -> None:
        self._calls.labels(tool, result).inc()
        subject = {"caller": who.username, "tool": tool, "namespace": namespace, "object": name, "result": result}
        log.info("mcp call %s", result, extra=subject)

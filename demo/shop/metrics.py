"""The shop's own metrics, in Prometheus units. Routes are templates, never raw paths: labels stay few."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, PlatformCollector, ProcessCollector

__all__ = ["Metrics"]

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """One registry per process; a test may have several."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.requests = Counter(
            "http_requests_total", "Requests answered.", ["method", "route", "code"], registry=self.registry
        )
        self.duration = Histogram(
            "http_request_duration_seconds",
            "Time to answer a request.",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.upstream_requests = Counter(
            "upstream_requests_total", "Calls to other services.", ["upstream", "code"], registry=self.registry
        )
        self.upstream_duration = Histogram(
            "upstream_request_duration_seconds",
            "Time of calls to other services.",
            ["upstream"],
            buckets=_BUCKETS,
            registry=self.registry,
        )

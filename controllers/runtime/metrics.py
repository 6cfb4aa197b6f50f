"""The controllers' own metrics, served on :8080/metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """One set per process, on its own registry."""

    def __init__(self, controller: str) -> None:
        self.controller = controller
        self.registry = CollectorRegistry()
        self._reconciles = Counter(
            "iirp_reconcile_total", "Reconciles by result.", ["controller", "result"], registry=self.registry
        )
        self._errors = Counter(
            "iirp_reconcile_errors_total",
            "Failed reconciles by reason.",
            ["controller", "reason"],
            registry=self.registry,
        )
        self._duration = Histogram(
            "iirp_reconcile_duration_seconds", "Time of one reconcile.", ["controller"], buckets=BUCKETS,
            registry=self.registry,
        )  # fmt: skip
        self._resync = Gauge(
            "iirp_last_successful_resync_timestamp_seconds", "When all keys were last listed.", ["controller"],
            registry=self.registry,
        )  # fmt: skip
        self._source_up = Gauge(
            "iirp_external_source_up", "1 when the external source answers.", ["controller", "source"],
            registry=self.registry,
        )  # fmt: skip
        self._writes_deferred = Counter(
            "iirp_incident_writes_deferred_total", "Incident writes put off by the limit per minute.", ["controller"],
            registry=self.registry,
        )  # fmt: skip

        self._silenced = Gauge(
            "iirp_faults_silenced", "Faults that are on and open no Incident because they are silenced.",
            ["controller"], registry=self.registry,
        )  # fmt: skip

    def track_queue(
        self, depth: Callable[[], float], handled_age: Callable[[], float], dropped: Callable[[], float]
    ) -> None:
        """Export the queue: keys that wait, seconds since the last handled one, keys dropped for want of room."""
        for name, text, function in (
            ("iirp_queue_depth", "Keys that wait.", depth),
            ("iirp_last_handled_age_seconds", "Time since the last reconcile ended.", handled_age),
            ("iirp_queue_dropped_keys", "Keys that did not fit since the start; the resync brings them back.", dropped),
        ):
            Gauge(name, text, ["controller"], registry=self.registry).labels(self.controller).set_function(function)

    def track_watches(self, silent_for: Mapping[str, Callable[[], float]]) -> None:
        """Export, by name of the watch, the seconds since the API server last said anything on it (bookmarks count)."""
        gauge = Gauge(
            "iirp_watch_silent_seconds", "Time since a watch last heard of the API server; two minutes are usual.",
            ["controller", "watch"], registry=self.registry,
        )  # fmt: skip
        for name, function in silent_for.items():
            gauge.labels(self.controller, name).set_function(function)

    def reconciled(self, result: str, seconds: float) -> None:
        """``result``: done, requeue, waiting, retry, terminal, unexpected."""
        self._reconciles.labels(self.controller, result).inc()
        self._duration.labels(self.controller).observe(seconds)

    def failed(self, reason: str) -> None:
        """A reconcile failed with this reason."""
        self._errors.labels(self.controller, reason).inc()

    def resynced(self) -> None:
        """All keys were listed just now."""
        self._resync.labels(self.controller).set(time.time())

    def source_up(self, source: str, *, up: bool) -> None:
        """Health of an external source as last seen."""
        self._source_up.labels(self.controller, source).set(1 if up else 0)

    def write_deferred(self) -> None:
        """The limit of Incident writes per minute put one off."""
        self._writes_deferred.labels(self.controller).inc()

    def faults_silenced(self, count: int) -> None:
        """So many faults are on and silenced."""
        self._silenced.labels(self.controller).set(count)

    def serve(self, port: int) -> None:
        """Start the HTTP endpoint in a daemon thread."""
        start_http_server(port, registry=self.registry)

"""What the process tells of itself: metrics for a Prometheus, and whether it gets on for the kubelet."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from notifications.server import Handler, listening

__all__ = ["Health"]

MAX_PASS_SECONDS = 900.0
"""A pass through channels that are all slow takes minutes; one that takes longer does not get on."""
_STATES = ("pending", "sent", "dead")
_OUTCOMES = ("sent", "retried", "gave_up")


class Health:
    """One per process, on its own registry. ``channels`` are all of the configuration, so that each starts at zero."""

    def __init__(self, channels: Iterable[str] = (), clock: Callable[[], float] = time.time) -> None:
        self.registry = CollectorRegistry()
        self._clock = clock
        self._passed_at = clock()
        self._deliveries = Gauge(
            "iirp_notifications_deliveries", "Deliveries in the outbox: pending, sent, dead (given up).",
            ["state"], registry=self.registry,
        )  # fmt: skip
        self._attempts = Counter(
            "iirp_notifications_attempts_total", "Attempts to send: sent, retried (tried again later), gave_up.",
            ["channel", "outcome"], registry=self.registry,
        )  # fmt: skip
        self._last_pass = Gauge(
            "iirp_notifications_last_pass_timestamp_seconds", "When incidents were last looked at and the outbox sent.",
            registry=self.registry,
        )  # fmt: skip
        self._source_up = Gauge(
            "iirp_notifications_source_up", "1 when the API server gave the incidents.", registry=self.registry
        )
        for channel in channels:
            for outcome in _OUTCOMES:
                self._attempts.labels(channel, outcome)

    def attempted(self, channel: str, outcome: str) -> None:
        """``outcome``: sent, retried, gave_up."""
        self._attempts.labels(channel, outcome).inc()

    def looked(self, *, answered: bool) -> None:
        """The API server was asked for incidents."""
        self._source_up.set(answered)

    def passed(self, deliveries: Mapping[str, int]) -> None:
        """A pass has ended; how many deliveries there are by state."""
        self._passed_at = self._clock()
        self._last_pass.set(self._passed_at)
        for state in _STATES:
            self._deliveries.labels(state).set(deliveries.get(state, 0))

    @property
    def well(self) -> bool:
        """Whether the last pass is not too long ago."""
        return self._clock() - self._passed_at < MAX_PASS_SECONDS

    @contextmanager
    def serving(self, port: int | None, host: str = "0.0.0.0") -> Iterator[int]:  # noqa: S104  numbers only
        """``/metrics`` and ``/healthz`` while the block runs; the port. None: not served. Raises OSError."""
        if port is None:
            yield 0
            return
        health = self

        class Answers(Handler):
            def do_GET(self) -> None:  # noqa: N802  the name is the standard library's
                if self.path == "/metrics":
                    self.end(200, generate_latest(health.registry), CONTENT_TYPE_PLAIN_0_0_4)
                elif self.path == "/healthz":
                    self.end(200 if health.well else 503, b"ok\n" if health.well else b"the last pass has not ended\n")
                else:
                    self.end(404)

        with listening(host, port, Answers) as served:
            yield served

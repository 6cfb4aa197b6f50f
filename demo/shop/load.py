"""The load generator: an open loop at a fixed rate, so that a slow shop does not slow its visitors down."""

from __future__ import annotations

import http.client
import logging
import queue
import random
import threading
import time
import uuid
from collections import Counter
from typing import Any

from demo.shop.client import fetch
from demo.shop.metrics import Metrics

__all__ = ["MAX_RATE", "Load", "choose"]

logger = logging.getLogger("shop.load")

MAX_RATE = 500.0
_REPORT_SECONDS = 30.0
_PATIENCE = 1.0


def choose(random_: random.Random) -> tuple[str, str, Any]:
    """One visitor's next step: method, path, body. Half look around, a fifth open a product, the rest buy."""
    share = random_.random()
    product = str(random_.randint(1, 6))
    if share < 0.5:
        return "GET", "/", None
    if share < 0.7:
        return "GET", f"/products/{product}", None
    return "POST", "/checkout", {"basket": [product] * random_.randint(1, 3)}


class Load:
    """Sends requests from a few worker threads; what they cannot take in time is dropped and counted, not queued."""

    def __init__(self, url: str, rate: float, workers: int, timeout: float, metrics: Metrics) -> None:
        self._url = url
        self.change(rate)
        self._timeout = timeout
        self._metrics = metrics
        self._random = random.Random()  # noqa: S311
        self._jobs: queue.Queue[tuple[str, str, Any]] = queue.Queue(maxsize=max(1, workers))
        self._codes: Counter[str] = Counter()
        self._workers = [threading.Thread(target=self._work, daemon=True) for _ in range(max(1, workers))]

    def change(self, rate: float) -> None:
        """Another rate from the next request on, in requests per second. ValueError outside 0 and 500."""
        if not 0 <= rate <= MAX_RATE:
            raise ValueError(f"rate must be between 0 and {MAX_RATE:g}, not {rate:g}")
        self._rate = max(rate, 0.01)

    @property
    def rate(self) -> float:
        """Requests per second that are sent now."""
        return self._rate

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set."""
        for worker in self._workers:
            worker.start()
        report = time.monotonic() + _REPORT_SECONDS
        while True:
            pause = self._random.expovariate(self._rate)
            # Memoryless: cutting a pause short and drawing again changes only how soon a new rate counts.
            if stop.wait(min(pause, _PATIENCE)):
                return
            if pause <= _PATIENCE:
                self._send()
            if time.monotonic() >= report:
                report += _REPORT_SECONDS
                codes, self._codes = self._codes, Counter()
                logger.info("sent %s", " ".join(f"{code}={count}" for code, count in sorted(codes.items())))

    def _send(self) -> None:
        try:
            self._jobs.put_nowait(choose(self._random))
        except queue.Full:
            self._codes["dropped"] += 1

    def _work(self) -> None:
        while True:
            method, path, body = self._jobs.get()
            begun = time.perf_counter()
            try:
                code = str(fetch(self._url + path, method, body, uuid.uuid4().hex[:16], self._timeout)[0])
            except (OSError, http.client.HTTPException):
                code = "none"
            self._codes[code] += 1
            self._metrics.upstream_requests.labels("frontend", code).inc()
            self._metrics.upstream_duration.labels("frontend").observe(time.perf_counter() - begun)

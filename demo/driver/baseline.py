"""Waits until the shop's metrics and logs arrive outside the cluster: for a change there must be a before."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import requests

from demo.driver.errors import DemoFailed
from demo.driver.shop import NAMESPACE

__all__ = ["wait_for_baseline"]

_TIMEOUT = 10.0
_INTERVAL = 2.0
# Memory of each payments container, and the shop's own request counter, each with enough samples to see a slope.
_METRICS = {
    "container memory": f'count(count_over_time(container_memory_working_set_bytes{{namespace="{NAMESPACE}",pod=~"payments-.*",container="payments"}}[1m]) >= 3)',  # noqa: E501
    "shop requests": f'count(count_over_time(http_requests_total{{namespace="{NAMESPACE}"}}[1m]) >= 3)',
}
_LOGS = f'sum(count_over_time({{k8s_namespace_name="{NAMESPACE}"}}[1m]))'


def wait_for_baseline(prometheus: str, loki: str, pods: int, timeout: float, say: Callable[[str], None]) -> None:
    """Polls both stores until everything is there; DemoFailed names what is missing and where it was looked for."""
    deadline = time.monotonic() + timeout
    missing = {**dict.fromkeys(_METRICS, prometheus), "shop logs": loki}
    while missing:
        for name in list(missing):
            query = _METRICS.get(name, _LOGS)
            path = "/api/v1/query" if name in _METRICS else "/loki/api/v1/query"
            value = _value(missing[name] + path, query)
            if value >= (pods if name == "container memory" else 1):
                say(f"{name}: there")
                del missing[name]
        if missing and time.monotonic() > deadline:
            name, address = next(iter(missing.items()))
            query = _METRICS.get(name, _LOGS)
            raise DemoFailed(
                "waiting for the baseline",
                f"{', '.join(missing)} did not arrive at {address} within {timeout:.0f} s; asked: {query}",
                "kubectl logs -n iirp-system -l app.kubernetes.io/part-of=iirp --tail=20, and iirp external status",
            )
        if missing:
            time.sleep(_INTERVAL)


def _value(url: str, query: str) -> float:
    """The first value of an instant query; 0 when there is none or nobody answers."""
    try:
        response = requests.get(url, params={"query": query}, timeout=_TIMEOUT)
        response.raise_for_status()
        result: list[Any] = response.json()["data"]["result"]
        return float(result[0]["value"][1]) if result else 0.0
    except (requests.RequestException, ValueError, KeyError, IndexError):
        return 0.0

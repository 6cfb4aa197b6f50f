"""Waits until the shop's metrics and logs arrive outside the cluster: for a change there must be a before."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests
import yaml

from demo.driver.errors import DemoFailed
from demo.driver.shop import NAMESPACE
from images.layers import project_root

__all__ = ["Need", "needs", "rule_history", "wait_for_baseline"]

_TIMEOUT = 10.0
_INTERVAL = 2.0
_MARGIN = 10
_UNITS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class Need:
    """An instant query whose first value must reach `at_least`."""

    name: str
    url: str
    query: str
    at_least: float


def rule_history(rules: Mapping[str, Any], name: str) -> int:
    """Seconds of quiet that a rule wants to have seen before it calls a change: its warm-up and its baseline."""
    rule = next(rule for rule in rules["rules"] if rule["name"] == name)
    return sum(int(rule[key][:-1]) * _UNITS[rule[key][-1]] for key in ("warmUp", "baseline"))


def needs(prometheus: str, loki: str, pods: Sequence[str]) -> list[Need]:
    """What must be there: memory of these very pods for long enough, the shop's own metrics, and its logs."""
    rules = yaml.safe_load((project_root() / "config/rules/memory.yaml").read_text())
    history = rule_history(rules, "memory-leak") + _MARGIN
    these = "|".join(pods)  # DNS labels: nothing in them needs escaping
    memory = f'container_memory_working_set_bytes{{namespace="{NAMESPACE}",pod=~"{these}",container!=""}}'
    known = f"count(count_over_time({memory}[1m]) >= 3 and {memory} offset {history}s)"
    requests_ = f'count(count_over_time(http_requests_total{{namespace="{NAMESPACE}"}}[1m]) >= 3)'
    lines = f'sum(count_over_time({{k8s_namespace_name="{NAMESPACE}"}}[1m]))'
    return [
        Need("logs of the shop", f"{loki}/loki/api/v1/query", lines, 1),
        Need("requests of the shop", f"{prometheus}/api/v1/query", requests_, 1),
        Need(f"memory of payments over {history} s", f"{prometheus}/api/v1/query", known, len(pods)),
    ]


def wait_for_baseline(wanted: list[Need], timeout: float, say: Callable[[str], None]) -> None:
    """Polls until everything is there; DemoFailed names what is missing and where it was looked for."""
    deadline = time.monotonic() + timeout
    missing = list(wanted)
    while missing:
        for need in list(missing):
            if _value(need) >= need.at_least:
                say(f"{need.name}: there")
                missing.remove(need)
        if missing and time.monotonic() > deadline:
            raise DemoFailed(
                "waiting for the baseline",
                f"{missing[0].name} did not arrive within {timeout:.0f} s; asked {missing[0].url}: {missing[0].query}",
                "iirp external status, and kubectl logs -n iirp-system -l app.kubernetes.io/part-of=iirp --tail=20",
            )
        if missing:
            time.sleep(_INTERVAL)


def _value(need: Need) -> float:
    """The first value of the query's answer; 0 when there is none or nobody answers."""
    try:
        response = requests.get(need.url, params={"query": need.query}, timeout=_TIMEOUT)
        response.raise_for_status()
        result: list[Any] = response.json()["data"]["result"]
        return float(result[0]["value"][1]) if result else 0.0
    except (requests.RequestException, ValueError, KeyError, IndexError):
        return 0.0

"""When a namespace is ready, and when waiting is no use."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from demo.driver.baseline import needs, rule_history
from demo.driver.errors import DemoFailed
from demo.driver.kubectl import Kubectl
from demo.driver.ready import failing, unready, wait_ready

Wire = dict[str, Any]


def deployment(updated: int = 2, available: int = 2, total: int = 2, observed: int = 3) -> Wire:
    status = {
        "updatedReplicas": updated,
        "availableReplicas": available,
        "replicas": total,
        "observedGeneration": observed,
    }
    return {"kind": "Deployment", "metadata": {"name": "a", "generation": 3}, "spec": {"replicas": 2}, "status": status}


def daemonset(**status: int) -> Wire:
    return {"kind": "DaemonSet", "metadata": {"name": "d", "generation": 1}, "spec": {}, "status": status}


def pod(reason: str, restarts: int = 0, **metadata: str) -> Wire:
    statuses = [{"state": {"waiting": {"reason": reason}}, "restartCount": restarts}]
    return {"kind": "Pod", "metadata": {"name": "p", **metadata}, "status": {"containerStatuses": statuses}}


@pytest.mark.parametrize(
    ("item", "waiting"),
    [
        (deployment(), []),
        (deployment(updated=1), ["deployment/a"]),
        (deployment(available=1), ["deployment/a"]),
        (deployment(total=3), ["deployment/a"]),
        (deployment(observed=2), ["deployment/a"]),
        (daemonset(desiredNumberScheduled=1, updatedNumberScheduled=1, numberAvailable=1, observedGeneration=1), []),
        (daemonset(desiredNumberScheduled=1, updatedNumberScheduled=1, observedGeneration=1), ["daemonset/d"]),
        (daemonset(), ["daemonset/d"]),
    ],
)
def test_a_workload_is_ready_when_its_latest_generation_is_rolled_out(item: Wire, waiting: list[str]) -> None:
    assert unready([item]) == waiting


@pytest.mark.parametrize(
    ("item", "found"),
    [
        (pod("ContainerCreating"), None),
        (pod("CrashLoopBackOff", 2), None),
        (pod("CrashLoopBackOff", 4), ("p", "CrashLoopBackOff")),
        (pod("ImagePullBackOff"), ("p", "ImagePullBackOff")),
        (pod("ImagePullBackOff", deletionTimestamp="2026-01-01T00:00:00Z"), None),
    ],
)
def test_a_pod_that_cannot_start_is_not_waited_for(item: Wire, found: tuple[str, str] | None) -> None:
    assert failing([item]) == found


def test_giving_up_shows_the_containers_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    items = {"items": [deployment(available=0), pod("CrashLoopBackOff", 5)]}

    def answer(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        out = "Traceback\nNameError: parse_object\n" if "logs" in command else json.dumps(items)
        return subprocess.CompletedProcess(command, 0, out, "")

    monkeypatch.setattr("demo.driver.kubectl.program.program", lambda: "kubectl")
    monkeypatch.setattr(subprocess, "run", answer)
    with pytest.raises(DemoFailed, match=r"(?s)pod p: CrashLoopBackOff.*\| NameError: parse_object.*next: kubectl"):
        wait_ready(Kubectl(Path("k")), "iirp-system", 60)


def test_the_baseline_is_as_long_as_the_rule_wants_it() -> None:
    rules = {"rules": [{"name": "other"}, {"name": "memory-leak", "warmUp": "1m", "baseline": "45s"}]}
    assert rule_history(rules, "memory-leak") == 105


def test_the_baseline_asks_for_every_pod_and_for_metrics_and_logs() -> None:
    wanted = needs("http://p", "http://l", ["payments-a", "payments-b"])
    assert [need.at_least for need in wanted] == [1, 1, 2]
    assert 'pod=~"payments-a|payments-b"' in wanted[2].query
    assert [need.url for need in wanted] == [
        "http://l/loki/api/v1/query",
        "http://p/api/v1/query",
        "http://p/api/v1/query",
    ]

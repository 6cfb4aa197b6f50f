"""The real Prometheus and the real Loki of the external side, and the analysis server on them, without a cluster.

Two clusters write into the same stores, with pods of the same names. What one shows is never told of the other.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cramjam
import pytest
import requests

from analysis.contract import ApiSignal, Candidate, DetectRequest, DetectResponse, PodFact, Topology
from analysis.words import moment
from benchmarks.wire import request as write_request
from crds.v1alpha1.base import TargetRef
from external.plane import ExternalPlane
from external.settings import Metrics, Settings
from tests.e2e.support import eventually

POD = "payments-7c9d8f6b5d-abcde"
WORKLOAD = TargetRef(kind="Deployment", namespace="shop", name="payments", uid="u")
USUAL = "ERROR card {} declined by issuer"
NEW = "ERROR cannot reach ledger at 10.0.0.{}: connection refused"
MIB = 1024.0 * 1024


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExternalPlane]:
    """Stores and analysis server; detection is let in by a shared secret."""
    root = tmp_path_factory.mktemp("stores")
    (root / "secret").write_text("for-this-test-only-0123456789abcdef\n")
    (root / "secret").chmod(0o600)
    caller = {"username": "system:serviceaccount:iirp-system:iirp-detection", "secretFile": str(root / "secret")}
    analysis = {"clusterLabels": {}, "intake": {"mode": "off"}, "auth": {"static": [caller]}}
    external = ExternalPlane("stores", root=root)
    try:
        history = Metrics(out_of_order="360h")  # a test writes days that are past
        external.up(Settings(analysis=analysis, metrics=history), parts=("s3", "prometheus", "loki", "analysis"))
        yield external
    finally:
        external.down(delete_data=True)


def push_lines(plane: ExternalPlane, cluster: str, lines: list[tuple[float, str]]) -> None:
    labels = {
        "k8s_cluster_name": cluster,
        "k8s_namespace_name": "shop",
        "k8s_pod_name": POD,
        "k8s_container_name": "app",
    }
    values = [[str(int(at * 1e9)), text] for at, text in lines]
    body = {"streams": [{"stream": labels, "values": values}]}
    answer = requests.post(f"{plane.urls.loki}/loki/api/v1/push", json=body, timeout=30)
    assert answer.status_code == 204, answer.text


def push_samples(plane: ExternalPlane, cluster: str, times: list[float], levels: list[float]) -> None:
    """A container's memory (MiB) below a limit of 256 MiB."""
    common = {"cluster": cluster, "namespace": "shop", "pod": POD, "container": "app"}
    values = {
        "container_memory_working_set_bytes": [level * MIB for level in levels],
        "container_spec_memory_limit_bytes": [256 * MIB] * len(times),
        "container_start_time_seconds": [times[0] - 7200.0] * len(times),
    }
    message = write_request(*(
        ({"__name__": name, **common}, [(value, round(at * 1000)) for at, value in zip(times, column, strict=True)])
        for name, column in values.items()
    ))  # fmt: skip
    url, headers = f"{plane.urls.prometheus}/api/v1/write", {"Content-Encoding": "snappy"}
    body = bytes(cramjam.snappy.compress_raw(message))
    assert requests.post(url, data=body, headers=headers, timeout=30).status_code == 204


class Writers:
    """What the agents of two clusters would have sent by now: ``east`` leaks, and begins to log a new kind of error."""

    def __init__(self, plane: ExternalPlane) -> None:
        self._plane = plane
        self._began = self._until = time.time()
        self._write(self._began - 900, self._began)

    def catch_up(self) -> None:
        """Send what has come since."""
        self._write(self._until, time.time())

    def _write(self, start: float, end: float) -> None:
        times = [start + 5 * step for step in range(1, int((end - start) / 5) + 1)]
        if not times:
            return
        self._until = times[-1]
        for cluster, slope in (("east", 0.2), ("west", 0.0)):
            levels = [40 + slope * (at - self._began + 900) for at in times]
            push_samples(self._plane, cluster, times, levels)
            push_lines(self._plane, cluster, [(at, USUAL.format(round(at) % 250)) for at in times])
        news = [(at + part, NEW.format(round(at + part) % 250)) for at in times for part in range(5)]
        push_lines(self._plane, "east", [one for one in news if one[0] > self._began])


def detect(plane: ExternalPlane, cluster: str, *signals: ApiSignal) -> DetectResponse:
    pod = PodFact(namespace="shop", name=POD, uid="p", workload=WORKLOAD, containers=("app",))
    digest = "sha256:" + hashlib.sha256(cluster.encode()).hexdigest()
    topology = Topology(digest=digest, pods=(pod,))
    body = DetectRequest(cluster=cluster, topology_digest=digest, topology=topology, signals=signals)
    secret = Path(plane.settings.analysis["auth"]["static"][0]["secretFile"]).read_text().strip()
    answer = requests.post(
        f"{plane.urls.analysis}/v1/detect",
        data=body.model_dump_json(),
        headers={"Authorization": f"Bearer {secret}", "Content-Type": "application/json"},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    return DetectResponse.model_validate_json(answer.content)


def test_a_burst_and_a_leak_are_seen_in_the_cluster_that_has_them(plane: ExternalPlane) -> None:
    writers = Writers(plane)

    def seen() -> list[Candidate]:
        writers.catch_up()
        found = detect(plane, "east").candidates
        assert len(found) <= 1
        return [
            signal for one in found if one.type == "MemoryLeak" for signal in one.signals if signal.type == "LogBurst"
        ]

    bursts = eventually(seen, within=120, what="the burst as evidence of the leak", every=3.0)
    assert "cannot reach ledger at" in bursts[0].summary
    assert bursts[0].pods == (POD,)
    leak = detect(plane, "east").candidates[0]
    assert all('{cluster="east",' in one.query for one in leak.metrics)
    for one in leak.metrics:
        assert series(plane, one.query), f"shows nothing when it is run again: {one.query}"

    killed = ApiSignal(
        type="OOMKilled", reason="OOMKilled", target=WORKLOAD, pod=POD, container="app", at=moment(time.time())
    )
    other = [detect(plane, "west", killed) for _ in range(3)][-1]
    assert [one.type for one in other.candidates] == ["OOMKilled"]
    assert not other.candidates[0].signals


def test_a_level_that_has_shifted_is_evidence_beside_what_is_on(plane: ExternalPlane) -> None:
    now = time.time()
    times = [now - 10 * 86_400 + 300 * step for step in range(10 * 288)]
    levels = [(200 if now - at < 30 * 3600 else 100) * (1 + 0.1 * math.sin(2 * math.pi * at / 86_400)) for at in times]
    push_samples(plane, "north", times, levels)
    killed = ApiSignal(type="OOMKilled", reason="OOMKilled", target=WORKLOAD, pod=POD, container="app", at=moment(now))

    def seen() -> list[Candidate]:
        found = detect(plane, "north", killed).candidates
        return [signal for one in found for signal in one.signals if signal.type == "LevelShift"]

    (shift,) = eventually(seen, within=120, what="the shift as evidence of the kill", every=3.0)
    assert "working set 20" in shift.summary
    assert abs(shift.onset.timestamp() - (now - 30 * 3600)) <= 6 * 3600
    (metric,) = shift.metrics
    (again,) = series(plane, metric.query)
    assert float(again["value"][1]) == pytest.approx(float(metric.value), rel=0.02)


def series(plane: ExternalPlane, query: str) -> list[Any]:
    answer = requests.get(f"{plane.urls.prometheus}/api/v1/query", params={"query": query}, timeout=30)
    found: list[Any] = answer.json()["data"]["result"]
    return found

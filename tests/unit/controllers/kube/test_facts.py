from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from controllers.kube.facts import parse_time, pod_record, pod_state, quantity


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("256Mi", 268435456),
        ("1Gi", 2**30),
        ("1e3", 1000),
        ("128974848", 128974848),
        ("129M", 129_000_000),
        ("1.5Gi", 1610612736),
        (5, 5),
        (None, None),
        ("lots", None),
        ("", None),
        ("NaN", None),
        ("Infinity", None),
        ("1e9999999", None),
        ("9" * 40, None),
    ],
)
def test_quantities(text: Any, expected: int | None) -> None:
    value = quantity(text)
    assert value == expected


def test_millis_are_exact() -> None:
    assert float(quantity("250m") or 0) == 0.25


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.250000Z", datetime(2026, 1, 2, 3, 4, 5, 250000, tzinfo=UTC)),
        ("nonsense", None),
        (None, None),
    ],
)
def test_times(text: str | None, expected: datetime | None) -> None:
    assert parse_time(text) == expected


def test_a_pod_with_nothing_in_it_is_still_a_pod() -> None:
    record = pod_record({"metadata": {"name": "p"}})
    assert (record.phase, record.owner, record.containers, record.memory_limit_bytes) == ("", None, (), None)


def test_the_last_termination_counts_whether_running_again_or_not() -> None:
    body = {
        "metadata": {"name": "p", "namespace": "shop", "uid": "u", "resourceVersion": "12"},
        "spec": {"containers": [{"name": "a", "resources": {"limits": {"memory": "256Mi", "cpu": "500m"}}}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [
                {
                    "name": "a",
                    "restartCount": 2,
                    "state": {"running": {}},
                    "lastState": {
                        "terminated": {"reason": "OOMKilled", "finishedAt": "2026-01-02T03:04:05Z", "exitCode": 137}
                    },
                }
            ],
        },
    }
    state = pod_state(pod_record(body))
    assert state.ready
    assert state.restarts == 2
    assert state.last_termination_reason == "OOMKilled"
    assert state.memory_limit_bytes == 268435456
    assert state.cpu_limit_cores == 0.5


def test_a_limit_counts_only_if_every_container_has_one() -> None:
    containers = [{"name": "a", "resources": {"limits": {"memory": "1Mi"}}}, {"name": "b"}]
    assert pod_record({"metadata": {"name": "p"}, "spec": {"containers": containers}}).memory_limit_bytes is None


HOSTILE = ["Deployment\n", "../../secrets", "UPPER case", "x" * 300, "<script>", ""]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", ["kind", "name"])
def test_an_owner_that_no_object_can_be_leaves_a_pod_on_its_own(text: str, field: str) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "a", "uid": "u", "controller": True, field: text}
    assert pod_record({"metadata": {"name": "p", "namespace": "shop", "ownerReferences": [owner]}}).owner is None


def test_a_claim_that_cannot_be_is_none() -> None:
    volumes = [{"persistentVolumeClaim": {"claimName": name}} for name in ("data-0", *HOSTILE)]
    body = {"metadata": {"name": "p", "namespace": "shop"}, "spec": {"volumes": volumes}}
    assert pod_record(body).claims == ("data-0",)

"""Room in the quota, counted as the API server counts it."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.arbitration.quota import shortage
from tests.fakes.chain import restart, scale
from tests.unit.controllers.arbitration.world import listed, live, subject

CPU = {"name": "app", "resources": {"requests": {"cpu": "250m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}}}
LIMIT_ONLY = {"name": "app", "resources": {"limits": {"cpu": "1"}}}
INIT = {"name": "migrate", "resources": {"requests": {"cpu": "1"}}}
SIDECAR = {"name": "mesh", "restartPolicy": "Always", "resources": {"requests": {"cpu": "250m"}}}


def quota(hard: dict[str, str], used: dict[str, str], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "team"}, "spec": {"hard": hard, **spec}, "status": {"hard": hard, "used": used}}


@pytest.mark.parametrize(
    ("hard", "used", "pod", "room"),
    [
        ({"pods": "10"}, {"pods": "8"}, {"containers": [CPU]}, None),
        ({"pods": "10"}, {"pods": "9"}, {"containers": [CPU]}, 1),
        ({"pods": "10"}, {"pods": "12"}, {"containers": [CPU]}, 0),
        ({"requests.cpu": "1"}, {"requests.cpu": "500m"}, {"containers": [CPU]}, None),
        ({"cpu": "1"}, {"cpu": "600m"}, {"containers": [CPU]}, 1),
        ({"limits.memory": "1Gi"}, {"limits.memory": "900Mi"}, {"containers": [CPU]}, 0),
        ({"requests.cpu": "2"}, {"requests.cpu": "1"}, {"containers": [LIMIT_ONLY]}, 1),
        ({"requests.cpu": "2"}, {"requests.cpu": "500m"}, {"containers": [CPU], "initContainers": [INIT]}, 1),
        ({"requests.cpu": "2"}, {"requests.cpu": "1500m"}, {"containers": [CPU], "initContainers": [SIDECAR]}, 1),
        ({"persistentvolumeclaims": "0"}, {}, {"containers": [CPU]}, None),
    ],
)
def test_room_for_two_more_pods(hard: Any, used: Any, pod: Any, room: int | None) -> None:
    body = live(template={"metadata": {}, "spec": pod})
    found = shortage(subject(body, scale(4), quotas=listed(quota(hard, used))))
    assert found.startswith(f"ResourceQuota team has room for {room} more pods of 2") if room is not None else not found


@pytest.mark.parametrize("action", [scale(1), scale(2), restart()])
def test_what_adds_no_pod_needs_no_room(action: Any) -> None:
    assert not shortage(subject(live(), action, quotas=listed(quota({"pods": "1"}, {"pods": "2"}))))


def test_scoped_quotas_hold_for_other_pods() -> None:
    scoped = quota({"pods": "1"}, {"pods": "1"}, scopes=["BestEffort"])
    assert not shortage(subject(live(), quotas=listed(scoped)))

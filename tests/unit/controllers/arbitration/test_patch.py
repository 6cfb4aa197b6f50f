"""The patch that a person commits: aimed at whoever holds the field."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.arbitration.model import Looked
from controllers.arbitration.patch import patches
from tests.fakes.chain import NS, restart, scale
from tests.fakes.kube import START
from tests.unit.controllers.arbitration.world import hpa, listed, live, scaled_object, subject

PAYMENTS = {"name": "payments", "namespace": NS}


@pytest.mark.parametrize(
    ("action", "around", "kind", "name", "spec"),
    [
        (scale(4), {}, "Deployment", "payments", {"replicas": 4}),
        (scale(4), {"autoscalers": listed(hpa("front"))}, "HorizontalPodAutoscaler", "front",
         {"minReplicas": 4, "maxReplicas": 6}),
        (scale(9), {"autoscalers": listed(hpa())}, "HorizontalPodAutoscaler", "payments",
         {"minReplicas": 9, "maxReplicas": 9}),
        (scale(1), {"autoscalers": listed(hpa())}, "HorizontalPodAutoscaler", "payments",
         {"minReplicas": 1, "maxReplicas": 1}),
        (scale(4), {"scaled_objects": listed(scaled_object()), "autoscalers": listed(hpa("keda-hpa-queue"))},
         "ScaledObject", "queue", {"minReplicaCount": 4, "maxReplicaCount": 10}),
        (restart(), {"autoscalers": listed(hpa())}, "Deployment", "payments",
         {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-01-02T03:04:05Z"}}}}),
    ],
)  # fmt: skip
def test_it_is_aimed_at_whoever_holds_the_field(action: Any, around: Any, kind: str, name: str, spec: Any) -> None:
    (patch,) = patches(subject(live(), action, **around), START)
    assert patch.body["kind"] == kind
    assert patch.body["metadata"]["name"] == name
    assert patch.body["spec"] == spec


def test_a_number_that_keda_holds_is_changed_where_it_stands() -> None:
    held = scaled_object(**{"autoscaling.keda.sh/paused-replicas": "2"})
    (patch,) = patches(subject(live(), scale(4), scaled_objects=listed(held)), START)
    assert patch.body["metadata"]["annotations"] == {"autoscaling.keda.sh/paused-replicas": "4"}
    assert "spec" not in patch.body


def test_it_says_where_the_manifest_is_kept_without_the_password() -> None:
    source = {
        "repoURL": "https://bot:s3cret@git.example.com/shop.git",
        "path": "overlays/prod",
        "targetRevision": "main",
    }
    application = Looked({"metadata": {"name": "shop"}, "spec": {"source": source}})
    (patch,) = patches(subject(live(), scale(4), application=application), START)
    assert patch.notes == ("source: https://git.example.com/shop.git path overlays/prod at main",)

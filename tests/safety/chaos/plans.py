"""A plan of each action type on a real workload, asked for, decided and approved as people and controllers do it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from crds.v1alpha1.base import format_time
from tests.e2e.objects import API as VERSION
from tests.e2e.objects import binding
from tests.e2e.support import eventually
from tests.safety.api import Api, path_of
from tests.safety.decisions import ALICE, ROOT, says
from tests.safety.world import create

PAUSE = "iirp.io/pause:node"
"""The sandbox's own image: on every node of the embedded cluster, starts and ends at once."""
POLICY = "chaos"
NAME = "web"


@dataclass(frozen=True)
class Kind:
    """One action type: the action, and what must be true of the workload afterwards, as a message when it is not."""

    name: str
    action: dict[str, Any]
    wrong: Callable[[dict[str, Any], list[dict[str, Any]]], str]


def _restarted(live: dict[str, Any], sets: list[dict[str, Any]]) -> str:
    if live["metadata"]["generation"] == 2 and len(sets) == 2:
        return ""
    return f"generation {live['metadata']['generation']}, {len(sets)} ReplicaSets; one restart makes 2 and 2"


def _scaled(live: dict[str, Any], sets: list[dict[str, Any]]) -> str:
    seen = (live["metadata"]["generation"], live["spec"]["replicas"], len(sets))
    return "" if seen == (2, 2, 1) else f"generation, replicas, ReplicaSets {seen}; one scale makes (2, 2, 1)"


KINDS = {
    "restart": Kind("restart", {"type": "RestartDeployment"}, _restarted),
    "scale": Kind("scale", {"type": "ScaleDeployment", "scale": {"replicas": 2}}, _scaled),
}


def policy(api: Api) -> None:
    """Lets people approve everything in the namespaces of these runs."""
    path = path_of(VERSION, "", "actionpolicies")
    api.send("DELETE", f"{path}/{POLICY}")
    rule = {"name": "all", "match": {"namespaces": ["safety-chaos-*"]}, "tier": "HumanApproval"}
    body = {"apiVersion": VERSION, "kind": "ActionPolicy", "metadata": {"name": POLICY}, "spec": {"rules": [rule]}}
    create(api, body)
    eventually(
        lambda: api.get(f"{path}/{POLICY}").get("status", {}).get("valid"), within=30, what="the policy to be valid"
    )


class Plan:
    """One incident, one plan, one approval in a namespace of their own."""

    def __init__(self, api: Api, namespace: str, kind: Kind) -> None:
        self._api, self.namespace, self.kind = api, namespace, kind
        self.path = path_of(VERSION, namespace, "actionplans", f"{NAME}-1")

    def ask(self) -> None:
        """Workload, incident, plan; returns when people can approve."""
        api, namespace = self._api, self.namespace
        create(api, binding(namespace, "approvers", "iirp-approver", "alice"))
        create(api, _deployment(namespace))
        live = eventually(self._available, within=90, what="the workload to be available", every=0.2)
        target = {
            "apiVersion": "apps/v1", "kind": "Deployment", "namespace": namespace, "name": NAME,
            "uid": live["metadata"]["uid"],
        }  # fmt: skip
        incident = create(api, _incident(namespace, target), ROOT)
        create(api, _plan(namespace, incident, {"id": "a1", "target": target, **self.kind.action}), ROOT)
        eventually(self._pending, within=60, what="the approval to be asked for", every=0.2)

    def approve(self) -> None:
        """As alice, by annotation."""
        path = path_of(VERSION, self.namespace, "approvals", f"{NAME}-1")
        reply = self._api.send("PATCH", path, body=says("approve"), who=ALICE)
        assert reply.code == 200, reply.message

    def execution(self) -> dict[str, Any]:
        """What the executor has recorded."""
        found: dict[str, Any] = self._api.get(self.path).get("status", {}).get("execution") or {}
        return found

    def wrong(self) -> str:
        """What the workload says of how often the action took effect; empty: exactly once."""
        sets = self._api.get(path_of("apps/v1", self.namespace, "replicasets"))["items"]
        return self.kind.wrong(self._api.get(self._workload), sets)

    @property
    def _workload(self) -> str:
        return path_of("apps/v1", self.namespace, "deployments", NAME)

    def _available(self) -> dict[str, Any] | None:
        body = self._api.get(self._workload)
        return body if body.get("status", {}).get("availableReplicas") else None

    def _pending(self) -> bool:
        state = self._api.get(self.path).get("status", {}).get("state")
        assert state not in ("Denied", "Forbidden"), self._api.get(self.path)["status"]["decision"]["message"]
        reply = self._api.send("GET", path_of(VERSION, self.namespace, "approvals", f"{NAME}-1"))
        return reply.code == 200 and reply.body.get("status", {}).get("state") == "Pending"


def _deployment(namespace: str) -> dict[str, Any]:
    labels = {"app": NAME}
    pod = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "app", "image": PAUSE, "imagePullPolicy": "Never"}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _incident(namespace: str, target: dict[str, Any]) -> dict[str, Any]:
    now = format_time(datetime.now(UTC))
    return {
        "apiVersion": VERSION,
        "kind": "Incident",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "fingerprint": "0123456789abcdef", "type": "Declared", "scope": "Workload", "target": target,
            "startedAt": now, "detectedAt": now, "detectedBy": {"rule": "declared", "confidencePercent": 100},
            "severity": "low", "summary": "a run of make chaos",
        },
    }  # fmt: skip


def _plan(namespace: str, incident: dict[str, Any], action: dict[str, Any]) -> dict[str, Any]:
    uid = incident["metadata"]["uid"]
    return {
        "apiVersion": VERSION,
        "kind": "ActionPlan",
        "metadata": {
            "name": f"{NAME}-1", "namespace": namespace, "labels": {"iirp.io/incident": NAME},
            "ownerReferences": [{"apiVersion": VERSION, "kind": "Incident", "name": NAME, "uid": uid}],
        },
        "spec": {
            "incidentRef": {"name": NAME, "uid": uid}, "requestedBy": "root", "causeKind": "Declared",
            "confidencePercent": 100, "summary": f"{action['type']} {NAME}", "actions": [action],
        },
    }  # fmt: skip

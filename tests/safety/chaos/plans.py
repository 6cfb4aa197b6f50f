"""A plan of each action type on a real workload, asked for, decided and approved as people and controllers do it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from crds.v1alpha1.base import format_time
from tests.e2e.objects import API as VERSION
from tests.e2e.objects import binding
from tests.e2e.support import eventually
from tests.safety.api import Api, path_of
from tests.safety.chaos.kinds import NAME, Kind, Room, start
from tests.safety.decisions import ALICE, ROOT, says
from tests.safety.world import create, soon

POLICY = "chaos"
PLAN = f"{NAME}-1"


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
        self._room = Room(api, namespace, kind.workload)
        self._plan = path_of(VERSION, namespace, "actionplans", PLAN)
        self._approval = path_of(VERSION, namespace, "approvals", PLAN)

    def ask(self) -> None:
        """Workload, incident, plan; returns when people can approve."""
        create(self._api, binding(self.namespace, "approvers", "iirp-approver", "alice"))
        start(self._room, self.kind.claim)
        asked = self.kind.ask(self._room)
        incident = create(self._api, _incident(self.namespace, asked["target"]), ROOT)
        create(self._api, _plan(self.namespace, incident, {"id": "a1", "type": self.kind.type, **asked}), ROOT)
        eventually(self._pending, within=60, what="the approval to be asked for", every=0.2)

    def approve(self) -> None:
        """As alice, by annotation; her binding may be seen a moment later than she is asked."""
        soon(lambda: self._api.send("PATCH", self._approval, body=says("approve"), who=ALICE), "alice's approval")

    def execution(self) -> dict[str, Any]:
        """What the executor has recorded."""
        found: dict[str, Any] = self._api.get(self._plan).get("status", {}).get("execution") or {}
        return found

    def wrong(self) -> str:
        """What the workload says of how often the action happened; empty: exactly once."""
        return self.kind.wrong(self._room)

    def _pending(self) -> bool:
        status = self._api.get(self._plan).get("status", {})
        assert status.get("state") != "Denied", status["decision"]["message"]
        reply = self._api.send("GET", self._approval)
        return reply.code == 200 and reply.body.get("status", {}).get("state") == "Pending"


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
            "name": PLAN, "namespace": namespace, "labels": {"iirp.io/incident": NAME},
            "ownerReferences": [{"apiVersion": VERSION, "kind": "Incident", "name": NAME, "uid": uid}],
        },
        "spec": {
            "incidentRef": {"name": NAME, "uid": uid}, "requestedBy": "root", "causeKind": "Declared",
            "confidencePercent": 100, "summary": f"{action['type']} {NAME}", "actions": [action],
        },
    }  # fmt: skip

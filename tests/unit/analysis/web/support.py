"""One incident with all that belongs to it, behind an API server that knows two people; and the way in."""

from __future__ import annotations

import copy
import re
from html import unescape
from typing import Any

from fastapi.testclient import TestClient

from analysis.kube import TABLE, ApiServerError

EVIL = "<script>alert('x')</script>"
INCIDENT: dict[str, Any] = {
    "metadata": {
        "name": "payments-leak-1",
        "namespace": "shop",
        "creationTimestamp": "2026-01-02T03:04:05Z",
        "uid": "u",
    },
    "spec": {
        "fingerprint": "0123456789abcdef",
        "type": "MemoryLeak",
        "scope": "Workload",
        "target": {"kind": "Deployment", "namespace": "shop", "name": "payments", "uid": "d"},
        "startedAt": "2026-01-02T03:04:05Z",
        "detectedAt": "2026-01-02T03:04:45Z",
        "detectedBy": {"rule": "memory-leak", "confidencePercent": 83},
        "severity": "high",
        "summary": f"working set grows {EVIL}",
    },
    "status": {
        "state": "AwaitingApproval",
        "severity": "high",
        "cause": "memory leak",
        "timeline": [{"at": "2026-01-02T03:04:06Z", "source": "log", "message": f'new template "{EVIL}"'}],
    },
}
DIGEST = "sha256:" + "a" * 64
CHILDREN: dict[str, list[dict[str, Any]]] = {
    "rcareports": [
        {
            "metadata": {"name": "payments-leak-1", "namespace": "shop"},
            "spec": {
                "incidentRef": {"name": "payments-leak-1", "uid": "u"},
                "window": {"start": "2026-01-02T03:00:00Z", "end": "2026-01-02T03:05:00Z"},
            },
            "status": {
                "state": "Complete",
                "rootCauses": [
                    {
                        "id": "cause-memoryleak",
                        "kind": "MemoryLeak",
                        "summary": "memory leak: 48 MiB/min",
                        "target": {"kind": "Deployment", "namespace": "shop", "name": "payments", "uid": "d"},
                        "confidencePercent": 86,
                        "evidence": [
                            {"id": "memory-grows", "kind": "Metric", "summary": EVIL, "query": 'deriv(m{a="b"})'}
                        ],
                        "refuters": [{"summary": "traffic", "refuted": False, "result": "flat"}],
                    }
                ],
                "logs": [
                    {
                        "id": "log-1886e8331bfc6400-4a4d29b4",
                        "mark": "Bursting",
                        "template": "cache miss <*>",
                        "count": 412,
                        "before": 3,
                        "firstAt": "2026-01-02T03:02:57Z",
                        "lastAt": "2026-01-02T03:05:00Z",
                        "example": f"cache miss 7\n  at load {EVIL}",
                        "query": '{pod="p"} |= "cache miss"',
                    }
                ],
                "similar": [
                    {
                        "name": "payments-leak-0",
                        "startedAt": "2026-01-01T03:00:00Z",
                        "why": "the same fault",
                        "cause": EVIL,
                        "outcome": "RestartDeployment: Effective",
                    }
                ],
            },
        }
    ],
    "actionplans": [
        {
            "metadata": {"name": "payments-leak-1-1", "namespace": "shop", "uid": "p"},
            "spec": {
                "incidentRef": {"name": "payments-leak-1", "uid": "u"},
                "requestedBy": "system:serviceaccount:iirp-system:iirp-incident",
                "causeKind": "MemoryLeak",
                "confidencePercent": 80,
                "cause": "memory leak since 14:02",
                "expectedImpact": "frees the leaked memory",
                "rollback": "nothing to undo",
                "summary": "Restart deploy/payments",
                "actions": [
                    {
                        "id": "restart-1",
                        "type": "RestartDeployment",
                        "target": {"kind": "Deployment", "namespace": "shop", "name": "payments", "uid": "d"},
                    }
                ],
            },
            "status": {"state": "AwaitingApproval", "tier": "HumanApproval"},
        }
    ],
    "approvals": [
        {
            "metadata": {
                "name": "payments-leak-1-1",
                "namespace": "shop",
                "labels": {"iirp.io/incident": "payments-leak-1"},
            },
            "spec": {
                "planRef": {"name": "payments-leak-1-1", "uid": "p"},
                "planDigest": DIGEST,
                "tier": "HumanApproval",
                "summary": "Restart deploy/payments",
                "requestedBy": "x",
                "requiredApprovals": 1,
                "expiresAt": "2026-01-02T04:04:05Z",
            },
            "status": {"state": "Pending", "approvals": "0/1"},
        }
    ],
}


POLICY: dict[str, Any] = {
    "metadata": {"name": "shop"},
    "spec": {"rules": [{"name": "all", "match": {"namespaces": ["shop"]}, "tier": "HumanApproval"}]},
    "status": {"valid": True},
}


def replica_set(revision: int, image: str) -> dict[str, Any]:
    """A revision of the Deployment."""
    return {
        "metadata": {
            "name": f"payments-{revision}",
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
            "ownerReferences": [{"uid": "d"}],
        },
        "spec": {"template": {"metadata": {}, "spec": {"containers": [{"name": "app", "image": image}]}}},
    }


REPLICA_SETS = [replica_set(3, "shop:3"), replica_set(2, f"shop:{EVIL}")]
DEPLOYMENT: dict[str, Any] = {
    "metadata": {"name": "payments", "namespace": "shop", "uid": "d", "managedFields": [{"manager": "kubectl"}]},
    "spec": {
        "replicas": 2,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%"}},
        "template": {
            "metadata": {"labels": {"app": EVIL}},
            "spec": {"containers": [{"name": "app", "image": "shop:3"}]},
        },
    },
    "status": {"readyReplicas": 2},
}


def merged(into: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    base = dict(into) if isinstance(into, dict) else {}
    return {**base, **{key: merged(base.get(key), value) for key, value in patch.items()}}


COLUMNS = ("Name", "State", "Sev", "Type", "Target", "Verdict", "Cause", "Action", "Started", "Where", "Age")


def table(incident: dict[str, Any]) -> dict[str, Any]:
    """The API server's Table of one incident."""
    spec, status, metadata = incident["spec"], incident["status"], incident["metadata"]
    cells = [
        metadata["name"], status["state"], status["severity"], spec["type"], spec["target"]["name"], None,
        status["cause"], None, spec["startedAt"], metadata["namespace"], "2d",
    ]  # fmt: skip
    return {"columnDefinitions": [{"name": name} for name in COLUMNS], "rows": [{"cells": cells}]}


class Cluster:
    """An API server that knows two tokens, and what each may read."""

    address = "https://10.0.0.1:6443"

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str | None]] = []
        self.expired = False
        self.refuses = ""
        self.incident = copy.deepcopy(INCIDENT)
        self.patches: list[Any] = []
        self.approval = copy.deepcopy(CHILDREN["approvals"][0])
        self.plans = copy.deepcopy(CHILDREN["actionplans"])
        self.deployment = copy.deepcopy(DEPLOYMENT)
        self.may_patch = True
        self.policies = [copy.deepcopy(POLICY)]
        self.listable = {"", "shop"}
        self.created: list[Any] = []

    async def request(
        self, method: str, path: str, *, token: str | None = None, body: Any = None, content: str = "", accept: str = ""
    ) -> Any:
        self.asked.append((method, path, token))
        if token not in {"alice-token", "eve-token"} or self.expired:
            raise ApiServerError("Unauthorized", 401)
        if path.endswith("/selfsubjectreviews"):
            return {"status": {"userInfo": {"username": (token or "").removesuffix("-token")}}}
        if token == "eve-token":
            raise ApiServerError('incidents.iirp.io is forbidden: User "eve" cannot list resource', 403)
        return self._answer(method, path, body, content, accept)

    def _answer(self, method: str, path: str, body: Any, content: str, accept: str) -> Any:
        if path.endswith("/selfsubjectaccessreviews"):
            return {"status": {"allowed": body["spec"]["resourceAttributes"]["namespace"] in self.listable}}
        if "/actionpolicies?" in path:
            return {"items": self.policies}
        if "/api/v1/namespaces?" in path:
            return {"items": [{"metadata": {"name": "shop"}}]}
        return self._ours(method, path, body, content, accept)

    def _ours(self, method: str, path: str, body: Any, content: str, accept: str) -> Any:
        if "/approvals?" in path:
            return {"items": [self.approval]}
        if "/actionplans" in path:
            return self._plans(method, path, body)
        if "/apis/apps/v1/" in path:
            return self._workload(method, path, body)
        for plural, items in CHILDREN.items():
            if f"/{plural}?" in path:
                return {"items": items}
        if path.endswith("/approvals/payments-leak-1-1"):
            return self._approval(method, body, content)
        if "/incidents?" in path and accept == TABLE:
            return table(self.incident)
        if "/incidents?" in path:
            return {"items": [INCIDENT, {"metadata": {"name": "odd"}, "spec": {}}]}
        if path.endswith("/incidents/payments-leak-1"):
            return self.incident
        raise ApiServerError("not found", 404)

    def _plans(self, method: str, path: str, body: Any) -> Any:
        if method == "POST":
            if self.refuses:
                raise ApiServerError(self.refuses, 403)
            if "dryRun=All" not in path:
                self.created.append(body)
            return {**body, "metadata": {**body["metadata"], "uid": "new"}}
        return {"items": self.plans} if "?" in path else self.plans[0]

    def _workload(self, method: str, path: str, body: Any) -> Any:
        if "/replicasets?" in path:
            return {"items": REPLICA_SETS}
        if "/replicasets/" in path:
            return REPLICA_SETS[-1]
        if method == "GET":
            return self.deployment
        assert path.endswith("/deployments/payments?dryRun=All")
        if not self.may_patch:
            raise ApiServerError('deployments.apps "payments" is forbidden: alice cannot patch', 403)
        return merged(self.deployment, body)

    def _approval(self, method: str, body: Any, content: str) -> Any:
        if method == "PATCH":
            assert content == "application/merge-patch+json"
            if self.refuses:
                raise ApiServerError(self.refuses, 403)
            self.patches.append(body)
        return self.approval


def sign_in(client: TestClient, token: str = "alice-token", address: str = "/login"):
    """Fill in the form as a browser does: with all that it holds."""
    held = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', client.get(address).text))
    assert held["nonce"]
    return client.post("/login", data={"token": token, **{name: unescape(value) for name, value in held.items()}})


def signed_out(answer) -> bool:
    """Whether an answer leads to the sign-in and to nothing else."""
    return answer.status_code == 303 and answer.headers["location"].split("?")[0] == "/login"

"""The leak of the payments service, as the API server would hold it while it waits for a person."""

from __future__ import annotations

from typing import Any

NAME = "payments-leak-x7k2q"
DIGEST = "sha256:" + "91" * 32
_LABELS = {"iirp.io/incident": NAME}


def _object(kind: str, name: str, spec: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{kind}-{name}", "labels": dict(_LABELS)}
    return {"apiVersion": "iirp.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec, "status": status}


def incident() -> dict[str, Any]:
    """A predicted leak."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "payments", "uid": "uid-d"}
    spec = {
        "fingerprint": "0123456789abcdef", "type": "MemoryLeak", "scope": "Workload", "target": target,
        "startedAt": "2026-01-31T14:02:55Z", "detectedAt": "2026-01-31T14:06:52Z",
        "detectedBy": {"rule": "memory-growth", "version": "1", "confidencePercent": 90}, "severity": "high",
        "predicted": True, "summary": "working set grows 3.1 MiB/min on 2 of 2 pods",
    }  # fmt: skip
    entries = [
        ("14:02:10", "change", "", "deploy/payments rolled out rev 7: image v1.8 → v1.9"),
        ("14:06:52", "incident", "iirp-detection", "opened: MemoryLeak, severity high"),
        ("14:06:58", "log", "", "new template \x1b[2Jcache miss"),
        ("14:07:05", "policy", "", "Restart needs 1 approval in shop (rule restart-needs-a-person)"),
    ]
    status = {
        "state": "AwaitingApproval", "severity": "high", "cause": "memory grows since rollout rev 7",
        "timeline": [
            {"at": f"2026-01-31T{at}Z", "source": source, "actor": actor, "message": message}
            for at, source, actor, message in entries
        ],
        "detection": {
            "active": True, "lastSeenAt": "2026-01-31T14:07:05Z", "severity": "high", "signals": [],
            "prediction": {
                "resource": "memory", "limit": "268435456", "unit": "bytes", "expectedAt": "2026-01-31T14:31:00Z",
                "earliestAt": "2026-01-31T14:27:00Z", "latestAt": "2026-01-31T14:36:00Z",
            },
        },
    }  # fmt: skip
    return _object("Incident", NAME, spec, status)


def report() -> dict[str, Any]:
    """One cause that stands, one that is refuted."""
    target = incident()["spec"]["target"]
    spec = {
        "incidentRef": {"name": NAME, "uid": f"uid-Incident-{NAME}"},
        "window": {"start": "2026-01-31T13:07:00Z", "end": "2026-01-31T14:07:00Z"},
    }
    causes = [
        {
            "id": "c1", "kind": "BadRollout", "summary": "rev 7 is the cause", "target": target,
            "confidencePercent": 84,
            "evidence": [{"id": "e1", "kind": "Change", "summary": "onset 45 s after rollout rev 7"}],
        },
        {
            "id": "c2", "kind": "TrafficGrowth", "summary": "more requests", "target": target,
            "confidencePercent": 5, "refuted": True,
            "refuters": [{"summary": "requests grew", "refuted": True, "result": "requests fell by 2 %"}],
        },
    ]  # fmt: skip
    status = {
        "state": "Complete",
        "method": "deterministic",
        "cause": "rev 7",
        "confidencePercent": 84,
        "rootCauses": causes,
    }
    return _object("RCAReport", NAME, spec, status)


def plan() -> dict[str, Any]:
    """A restart that policy leaves to a person."""
    target = incident()["spec"]["target"]
    spec = {
        "incidentRef": {"name": NAME, "uid": f"uid-Incident-{NAME}"},
        "reportRef": {"name": NAME, "uid": f"uid-RCAReport-{NAME}"},
        "requestedBy": "system:serviceaccount:iirp-system:iirp-incident", "causeKind": "BadRollout", "cause": "rev 7",
        "confidencePercent": 84, "actions": [{"id": "a1", "type": "RestartDeployment", "target": target}],
        "summary": "Restart deploy/payments", "expectedImpact": "pods are replaced one after the other",
        "rollback": "nothing to undo",
    }  # fmt: skip
    decision = {
        "tier": "HumanApproval", "reason": "RuleMatched", "message": "needs 1 approval", "planDigest": DIGEST,
        "rules": [
            {"policy": "default", "rule": "restart-needs-a-person", "tier": "HumanApproval", "message": "need one"},
            {
                "policy": "default", "rule": "scale-by-itself", "tier": "AutoLowRisk", "message": "not a scale",
                "matched": False,
            },
        ],
        "requiredApprovals": 1, "decidedAt": "2026-01-31T14:07:05Z", "expiresAt": "2026-01-31T14:37:05Z",
    }  # fmt: skip
    status = {"state": "AwaitingApproval", "tier": "HumanApproval", "decision": decision}
    return _object("ActionPlan", f"{NAME}-1", spec, status)


def approval() -> dict[str, Any]:
    """What alice is asked."""
    spec = {
        "planRef": {"name": f"{NAME}-1", "uid": f"uid-ActionPlan-{NAME}-1"}, "planDigest": DIGEST,
        "tier": "HumanApproval", "summary": "Restart deploy/payments",
        "requestedBy": "system:serviceaccount:iirp-system:iirp-incident", "requiredApprovals": 1,
        "expiresAt": "2026-01-31T14:37:05Z",
    }  # fmt: skip
    return _object("Approval", f"{NAME}-1", spec, {"state": "Pending", "approvals": "0/1"})


def chain() -> list[dict[str, Any]]:
    """All four."""
    return [incident(), report(), plan(), approval()]

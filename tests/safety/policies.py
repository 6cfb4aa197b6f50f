"""ActionPolicies that make no sense: refused by the type's schema, and broken CEL by the webhook where it runs (S3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.e2e.objects import API as API_VERSION
from tests.safety.api import Api, path_of
from tests.safety.case import SCHEMA, Case

WEBHOOK = "policies.iirp.io"
_PERIOD = {"start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"}
_CONDITION = {"name": "c", "expression": "severity == 'low'"}
MEANINGLESS: dict[str, dict[str, Any]] = {
    "expires at once": {"expiresAfter": "59s"},
    "expires in days": {"expiresAfter": "25h"},
    "automates every namespace": {"tier": "AutoLowRisk", "match": {"namespaces": ["shop", "*"]}},
    "autonomy for people": {"autonomy": {}},
    "fewer approvers than approvals": {"approvers": ["alice"], "requiredApprovals": 2},
    "a period that ends before it starts": {"match": {"namespaces": ["shop"], "period": _PERIOD}},
    "two conditions of one name": {"match": {"namespaces": ["shop"], "conditions": [_CONDITION, _CONDITION]}},
    "a breaker that never forgets": {"limits": {"breakerWindow": "721h"}},
    "no node at all": {"limits": {"maxNodes": 0}},
    "a condition about what is not there": {
        "match": {"namespaces": ["shop"], "conditions": [{"name": "c", "expression": "object.spec.replicas > 1"}]}
    },
}
MEANT: dict[str, dict[str, Any]] = {
    "defaults": {},
    "the longest expiry": {"expiresAfter": "24h"},
    "one group for two": {"approvers": ["group:oncall"], "requiredApprovals": 2},
    "earned autonomy": {"tier": "AutoLowRisk", "autonomy": {"minSuccesses": 3}, "limits": {"maxNodes": 2}},
    "a moment": {"match": {"namespaces": ["*"], "period": {**_PERIOD, "end": _PERIOD["start"]}}},
    "every variable": {
        "match": {
            "namespaces": ["shop"],
            "conditions": [
                {"name": "a", "expression": "has(incident.spec) && report.?status.method.orValue('') != 'x'"},
                {"name": "b", "expression": "plan.spec.confidencePercent > 80 && action.type == 'RestartPod'"},
                {"name": "c", "expression": "target.nodes < 3 && namespaceObject.metadata.name != 'x' && now > now"},
            ],
        }
    },
}
BROKEN = ("severity >", "severity > 3", "plan.spec.a && undeclared", "size(severity)", "incident.spec.type == 'a")


def policy(change: dict[str, Any]) -> dict[str, Any]:
    """One rule that asks a person, changed."""
    rule = {"name": "r", "match": {"namespaces": ["shop"]}, "tier": "HumanApproval", **change}
    body = {"metadata": {"name": "iirp-safety"}, "spec": {"rules": [rule]}}
    return {"apiVersion": API_VERSION, "kind": "ActionPolicy", **body}


def cases(api: Api) -> Iterator[Case]:
    """Nothing is stored: what is allowed runs dry."""
    area, path = "policies: what makes no sense", path_of(API_VERSION, "", "actionpolicies")
    for name, change in MEANINGLESS.items():
        yield Case(area, name, "POST", path, policy(change), by=(SCHEMA,), dry=True)
    for name, change in MEANT.items():
        yield Case(area, name, "POST", path, policy(change), allowed=True)
    judged = _in_force(api)
    for expression in BROKEN:
        match = {"namespaces": ["shop"], "conditions": [{"name": "c", "expression": expression}]}
        body = policy({"match": match})
        says = "condition c: " if judged else ""
        # Without the webhook it is stored, and the policy controller says why it fails closed.
        yield Case(
            area, f"CEL: {expression}", "POST", path, body, allowed=not judged, by=(f"webhook {WEBHOOK}",), says=says,
            dry=True,
        )  # fmt: skip


def _in_force(api: Api) -> bool:
    path = path_of("admissionregistration.k8s.io/v1", "", "validatingwebhookconfigurations", "iirp-actionpolicies")
    return api.send("GET", path).code == 200

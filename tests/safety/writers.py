"""One writer per field: everybody tries everybody else's (S1, S3)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.e2e.objects import API as VERSION
from tests.e2e.objects import AT, DIGEST, action_policy, incident, plan, report
from tests.safety.api import ADMIN, Api, Who, path_of
from tests.safety.case import Case
from tests.safety.decisions import CONTROLLERS
from tests.safety.world import account, create, person

POLICY_NAME = "safety-writers"
_DECISION = {
    "tier": "AutoLowRisk", "reason": "Forged", "message": "x", "planDigest": DIGEST, "requiredApprovals": 0,
    "decidedAt": AT, "expiresAt": AT,
}  # fmt: skip
_EXECUTION = {"phase": "Succeeded", "reason": "Forged", "startedAt": AT}
_VERIFICATION = {"verdict": "Effective", "reason": "Forged", "window": {"start": AT, "end": AT}}

FIELDS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("incidents", "web-leak-aaaaa", "incident", {"state": "Resolved"}),
    ("rcareports", "web-leak-aaaaa", "rca", {"state": "Complete"}),
    ("actionplans", "web-leak-aaaaa-1", "policy", {"state": "Approved"}),
    ("actionplans", "web-leak-aaaaa-1", "policy", {"tier": "AutoLowRisk"}),
    ("actionplans", "web-leak-aaaaa-1", "policy", {"decision": _DECISION}),
    ("actionplans", "web-leak-aaaaa-1", "execution", {"execution": _EXECUTION}),
    ("actionplans", "web-leak-aaaaa-1", "feedback", {"verification": _VERIFICATION}),
    ("actionpolicies", POLICY_NAME, "policy", {"valid": False}),
)
"""Plural, name, the controller whose field it is, and a forged value."""


def prepare(api: Api, namespace: str) -> None:
    """One object of each kind."""
    create(api, incident(namespace), account("iirp-detection"))
    create(api, report(namespace), account("iirp-incident"))
    create(api, plan(namespace, "root"), person("root", "system:masters"))
    api.send("DELETE", path_of(VERSION, "", "actionpolicies", POLICY_NAME))
    create(api, action_policy(POLICY_NAME))


def clean(api: Api) -> None:
    """What no namespace takes along."""
    api.send("DELETE", path_of(VERSION, "", "actionpolicies", POLICY_NAME))


def everybody() -> list[Who]:
    """Controllers, the administrator and people."""
    return [
        *(account(f"iirp-{name}") for name in CONTROLLERS), ADMIN, person("root", "system:masters"), person("mallory")
    ]  # fmt: skip


def cases(namespace: str) -> Iterator[Case]:
    """Each field by each but its owner; and specs by those who may not make them."""
    for plural, name, owner, status in FIELDS:
        path = path_of(VERSION, "" if plural == "actionpolicies" else namespace, plural, name, "status")
        for who in everybody():
            if not who.user.endswith(f":iirp-{owner}"):
                label = f"{plural}.status.{next(iter(status))}"
                yield Case("other controllers' status", label, "PATCH", path, {"status": status}, who=who)
    yield from _made(namespace)


def _made(namespace: str) -> Iterator[Case]:
    """Objects by the wrong maker, or in somebody else's name."""
    area = "objects by the wrong maker"
    ours = [account(f"iirp-{name}") for name in CONTROLLERS]
    for who in ours:
        body = action_policy("forged", tier="AutoLowRisk", match={"namespaces": ["*"]})
        yield Case(area, "an ActionPolicy", "POST", path_of(VERSION, "", "actionpolicies"), body, who=who)
        path = path_of(VERSION, "", "actionpolicies", POLICY_NAME)
        yield Case(area, "a looser ActionPolicy", "PATCH", path, {"spec": {"rules": []}}, who=who)
        yield Case(area, "no ActionPolicy", "DELETE", path, who=who)
    for who in (*ours, person("root", "system:masters"), person("mallory")):
        for requester in ("alice", "system:admin"):
            body = plan(namespace, requester, name="forged")
            yield Case(
                area,
                f"a plan in the name of {requester}",
                "POST",
                path_of(VERSION, namespace, "actionplans"),
                body,
                who=who,
            )
        if not who.user.endswith(":iirp-incident"):
            yield Case(
                area,
                "a report",
                "POST",
                path_of(VERSION, namespace, "rcareports"),
                report(namespace, "forged"),
                who=who,
            )
    elsewhere = plan(namespace, "root", name="forged")
    elsewhere["spec"]["actions"][0]["target"]["namespace"] = "kube-system"
    path = path_of(VERSION, namespace, "actionplans")
    yield Case(area, "a plan for another namespace", "POST", path, elsewhere, who=person("root", "system:masters"))

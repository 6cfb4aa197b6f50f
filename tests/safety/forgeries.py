"""Every way to forge, rewrite, copy or move a decision, by whoever could try (S3, S4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.e2e.objects import API as API_VERSION
from tests.e2e.objects import DIGEST, OTHER_DIGEST, SYSTEM, approval
from tests.safety.api import ADMIN, Api, path_of
from tests.safety.case import APPROVALS, RBAC, SCHEMA, Case
from tests.safety.decisions import ALICE, BOB, EVE, POLICY, ROOT, approval_path, says
from tests.safety.world import account, create


def entry(by: str, verdict: str = "approve", digest: str = DIGEST, reason: str = "forged") -> dict[str, str]:
    """A decision as a forger would write it."""
    return {"by": by, "verdict": verdict, "reason": reason, "planDigest": digest}


def record(api: Api, namespace: str) -> list[dict[str, str]]:
    """An Approval that alice and bob have decided, for those who would rewrite that."""
    create(api, approval(namespace, "decided", requiredApprovals=2), account("iirp-policy"))
    for who in (ALICE, BOB):
        assert api.send("PATCH", approval_path(namespace, "decided"), body=says("approve", "lgtm"), who=who).code == 200
    entries: list[dict[str, str]] = api.get(approval_path(namespace, "decided"))["spec"]["decisions"]
    assert [e["by"] for e in entries] == ["alice", "bob"]
    return entries


def forgeries(entries: list[dict[str, str]]) -> dict[str, tuple[str, list[dict[str, str]]]]:
    """Name → (object, decisions afterwards)."""
    first, second = entries
    return {
        "bob's word by somebody else": ("ask-one", [entry("bob")]),
        "root's word by somebody else": ("ask-one", [entry("system:admin")]),
        "the policy controller's word": ("ask-one", [entry(f"system:serviceaccount:{SYSTEM}:iirp-policy")]),
        "two words at once": ("ask-two", [entry("alice"), entry("bob")]),
        "a word about another plan": ("ask-one", [entry("alice", digest=OTHER_DIGEST)]),
        "removing all": ("decided", []),
        "removing the first": ("decided", [second]),
        "removing the last": ("decided", [first]),
        "another order": ("decided", [second, first]),
        "another reason": ("decided", [first, {**second, "reason": "never mind"}]),
        "another verdict": ("decided", [{**first, "verdict": "reject"}, second]),
        "another name": ("decided", [{**first, "by": "carol"}, second]),
        "one more in another's name": ("decided", [*entries, entry("carol")]),
        "the same once more": ("decided", [*entries, first]),
    }


def forged(api: Api, namespace: str, entries: list[dict[str, str]]) -> Iterator[Case]:
    """Each forgery by each of five identities and each way to write."""
    for name, (target, after) in forgeries(entries).items():
        stored = api.get(approval_path(namespace, target))
        stored["metadata"].pop("managedFields", None)
        for who in (ALICE, EVE, ROOT, account("iirp-incident"), account("iirp-policy")):
            for how, method, sub, body in _ways(stored, namespace, target, after):
                label = f"{name}, by {how}"
                yield Case(
                    "approvals: forged decisions", label, method, approval_path(namespace, target, sub), body,
                    how if how in ("json", "apply") else "merge", who, (APPROVALS, RBAC, SCHEMA),
                )  # fmt: skip


def _ways(
    stored: dict[str, Any], namespace: str, name: str, after: list[dict[str, str]]
) -> Iterator[tuple[str, str, str, Any]]:
    spec = {**stored["spec"], "decisions": after}
    whole = {**stored, "spec": spec}
    applied = approval(namespace, name)
    applied["spec"] = spec
    yield "merge", "PATCH", "", {"spec": {"decisions": after}}
    yield "json", "PATCH", "", [{"op": "add", "path": "/spec/decisions", "value": after}]
    yield "apply", "PATCH", "", applied
    yield "update", "PUT", "", whole
    yield (
        "status",
        "PATCH",
        "status",
        {"spec": {"decisions": after}, "status": {"state": "Approved", "approvals": "2/2"}},
    )


def created(namespace: str, elsewhere: str, entries: list[dict[str, str]]) -> Iterator[Case]:
    """An Approval of one's own making: filled, copied to another plan, another namespace, a plan made anew."""
    uid = "99999999-2222-3333-4444-555555555555"
    copies = {
        "with decisions": approval(namespace, "copy-1", decisions=entries),
        "with an annotation": _annotated(approval(namespace, "copy-2")),
        "with a status": {**approval(namespace, "copy-3"), "status": {"state": "Approved"}},
        "for another plan": approval(
            namespace, "copy-4", decisions=entries, planRef={"name": "other-plan", "uid": uid}
        ),
        "for the plan made anew": approval(
            namespace, "copy-5", decisions=entries, planRef={"name": "web-leak-aaaaa-1", "uid": uid}
        ),
        "in another namespace": approval(elsewhere, "copy-6", decisions=entries),
    }
    for name, body in copies.items():
        path = path_of(API_VERSION, body["metadata"]["namespace"], "approvals")
        for who in (
            ALICE,
            EVE,
            ROOT,
            ADMIN,
            account("iirp-incident"),
            account("iirp-approval"),
            account("iirp-execution"),
        ):
            yield Case("approvals: made or copied by hand", name, "POST", path, body, who=who, by=(*POLICY, RBAC))
        if name != "with a status":  # dropped by the API server: a status is written through its subresource only
            who = account("iirp-policy")
            yield Case("approvals: made or copied by hand", name, "POST", path, body, who=who, by=(*POLICY, RBAC))


def _annotated(body: dict[str, Any]) -> dict[str, Any]:
    body["metadata"]["annotations"] = {"iirp.io/decision": "approve"}
    return body


def frozen(namespace: str) -> Iterator[Case]:
    """What was asked stays what was asked: moving an approval to another plan, digest, tier, quorum or time."""
    changes: dict[str, Any] = {
        "planRef": {"name": "other-plan", "uid": "99999999-2222-3333-4444-555555555555"},
        "planDigest": OTHER_DIGEST,
        "tier": "AutoLowRisk",
        "requiredApprovals": 0,
        "approvers": ["eve"],
        "expiresAt": "2037-01-01T00:00:00Z",
        "requestedBy": "somebody-else",
        "summary": "something else",
    }
    for field, value in changes.items():
        for target in ("ask-one", "ask-by-alice", "in-expired", "in-used"):
            for who in (EVE, ROOT, account("iirp-policy")):
                path = approval_path(namespace, target)
                yield Case(
                    "approvals: what was asked", f"{field} of {target}", "PATCH", path, {"spec": {field: value}},
                    who=who, by=(SCHEMA, RBAC),
                )  # fmt: skip
    for label in ({"iirp.io/incident": "other"}, {"iirp.io/incident": None}, {"iirp.io/new": "x"}):
        yield Case(
            "approvals: what was asked", f"label {label}", "PATCH", approval_path(namespace, "ask-one"),
            {"metadata": {"labels": label}}, who=EVE, by=(APPROVALS,),
        )  # fmt: skip

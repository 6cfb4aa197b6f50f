"""Who may decide what: every role × tier × verdict, and every state (S3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.e2e.objects import API as API_VERSION
from tests.e2e.objects import SYSTEM, approval, binding, role
from tests.safety.api import ANONYMOUS, Api, Who, path_of
from tests.safety.case import APPROVALS, EXECUTOR, GRANTS, RBAC, Case
from tests.safety.world import account, create, person, soon

CONTROLLERS = ("detection", "incident", "rca", "policy", "approval", "execution", "feedback")
ROOT = person("root", "system:masters")
ALICE, BOB, EVE = person("alice"), person("bob"), person("eve")
ROBOT = account("robot", "default")
STATES = ("", "Pending", "Approved", "Rejected", "Expired", "Void", "Used")
OPEN = ("", "Pending", "Approved")
POLICY = (APPROVALS, EXECUTOR, GRANTS)
"""Executor and approval controller are held by their own policies as well; which one answers first is no matter."""
VERDICTS = ("approve", "reject")
NONSENSE = ("", "yes", "Approve", "approve ", "approve,reject", "true")


@dataclass(frozen=True)
class Asked:
    """One kind of approval that policy can ask for."""

    label: str
    spec: dict[str, Any]

    @property
    def name(self) -> str:
        """Of the object."""
        return f"ask-{self.label}"


ASKED = (
    Asked("auto", {"tier": "AutoLowRisk", "requiredApprovals": 0}),
    Asked("one", {"requiredApprovals": 1}),
    Asked("two", {"requiredApprovals": 2}),
    Asked("of-bob", {"approvers": ["bob"]}),
    Asked("by-alice", {"requestedBy": "alice"}),
    Asked("by-robot", {"requestedBy": ROBOT.user}),
    Asked("for-alice", {"onBehalfOf": "alice"}),
)


@dataclass(frozen=True)
class Role:
    """Somebody, and whether RBAC lets them decide here. ``edits``: may at least send the write."""

    who: Who
    decides: bool = False
    edits: bool = False


def roles() -> list[Role]:
    """Everybody who might try. The platform's own accounts are bound to ``iirp-approver`` by mistake."""
    people = [
        Role(ALICE, decides=True), Role(BOB, decides=True), Role(ROOT, decides=True), Role(ROBOT, decides=True),
        Role(person("gina", "oncall"), decides=True), Role(EVE, edits=True), Role(person("vera")), Role(person("olga")),
        Role(person("adam")), Role(person("faye")), Role(person("mallory")), Role(ANONYMOUS),
    ]  # fmt: skip
    ours = [Role(account(f"iirp-{name}"), edits=True) for name in CONTROLLERS]
    agents = [
        Role(account(name), edits=True) for name in ("iirp-reader", "otel-collector", "prometheus-agent", "default")
    ]
    return people + ours + agents


def prepare(api: Api, namespace: str, elsewhere: str) -> None:
    """Roles and Approvals. faye may decide in ``elsewhere`` only."""
    verbs = {"apiGroups": ["iirp.io"], "resources": ["approvals", "approvals/status"]}
    editor = role(namespace, "editor", {**verbs, "verbs": ["get", "create", "patch", "update", "delete"]})
    ours = [f"system:serviceaccount:{SYSTEM}:iirp-{name}" for name in CONTROLLERS]
    ours += [
        f"system:serviceaccount:{SYSTEM}:{name}"
        for name in ("iirp-reader", "otel-collector", "prometheus-agent", "default")
    ]
    oncall = binding(namespace, "oncall", "iirp-approver")
    oncall["subjects"] = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "oncall"}]
    for body in (
        editor,
        binding(namespace, "approvers", "iirp-approver", "alice", "bob", ROBOT.user, *ours),
        binding(namespace, "editors", "editor", "eve", "alice", *ours, kind="Role"),
        binding(namespace, "viewers", "view", "vera"), binding(namespace, "operators", "edit", "olga"),
        binding(namespace, "admins", "admin", "adam"), binding(elsewhere, "approvers", "iirp-approver", "faye"), oncall,
    ):  # fmt: skip
        create(api, body)
    for asked in ASKED:
        create(api, approval(namespace, asked.name, **asked.spec), account("iirp-policy"))
    for state in STATES[1:]:
        create(api, approval(namespace, f"in-{state.lower()}"), account("iirp-policy"))
        _set_state(api, namespace, f"in-{state.lower()}", state)
    path = approval_path(namespace, ASKED[1].name)
    for who in (BOB, ROBOT, account("iirp-execution"), EVE):
        soon(lambda who=who: api.send("GET", path, who=who), f"the binding of {who.name} to be seen")


def _set_state(api: Api, namespace: str, name: str, state: str) -> None:
    body = {
        "apiVersion": API_VERSION,
        "kind": "Approval",
        "metadata": {"name": name, "namespace": namespace},
        "status": {"state": state},
    }
    path = path_of(API_VERSION, namespace, "approvals", name, "status")
    reply = api.send("PATCH", path, body=body, patch="apply", who=account("iirp-approval"))
    assert reply.code == 200, reply.message


def approval_path(namespace: str, name: str, sub: str = "") -> str:
    """Of one Approval."""
    return path_of(API_VERSION, namespace, "approvals", name, sub)


def says(verdict: str, reason: str = "seen") -> dict[str, Any]:
    """The patch of ``kubectl annotate approval``."""
    return {"metadata": {"annotations": {"iirp.io/decision": verdict, "iirp.io/reason": reason}}}


def expected(someone: Role, asked: Asked, verdict: str) -> bool:
    """Who counts: RBAC's verb approve; for an approval not the requester, and where policy names approvers only those.
    The requester may withdraw."""
    user = someone.who.user
    named = asked.spec.get("approvers")
    may_approve = user not in (asked.spec.get("requestedBy"), asked.spec.get("onBehalfOf"))
    return someone.decides and (verdict == "reject" or (may_approve and (named is None or user in named)))


def matrix(namespace: str) -> Iterator[Case]:
    """Role × tier × verdict, and words that are none."""
    for someone in roles():
        for asked in ASKED:
            path = approval_path(namespace, asked.name)
            for verdict in VERDICTS:
                label = f"{someone.who.name}: {verdict} ({asked.label})"
                ok = expected(someone, asked, verdict)
                by = POLICY if someone.decides or someone.edits else (RBAC,)
                area = "approvals: role × tier × verdict"
                yield Case(area, label, "PATCH", path, says(verdict), who=someone.who, allowed=ok, by=by, dry=True)
    for verdict in NONSENSE:
        for who in (ALICE, ROOT):
            path = approval_path(namespace, ASKED[1].name)
            yield Case(
                "approvals: words that are no verdict",
                repr(verdict),
                "PATCH",
                path,
                says(verdict),
                who=who,
                by=(APPROVALS,),
            )


def states(namespace: str) -> Iterator[Case]:
    """Nothing is decided after the end; until then a reject stops even what is approved."""
    for state in STATES:
        name = f"in-{state.lower()}" if state else ASKED[1].name
        for verdict in VERDICTS:
            label = f"{verdict} when {state or 'new'}"
            area = "approvals: state × verdict"
            for who in (ALICE, ROOT):
                yield Case(
                    area, label, "PATCH", approval_path(namespace, name), says(verdict), who=who, allowed=state in OPEN,
                    by=(APPROVALS,), dry=True,
                )  # fmt: skip


def status_writes(namespace: str) -> Iterator[Case]:
    """A state that nobody but the approval controller may write."""
    for state in STATES[1:]:
        body = {"status": {"state": state, "approvals": "1/1", "decidedBy": "bob"}}
        for someone in roles():
            if someone.who.user.endswith(":iirp-approval"):
                continue
            path = approval_path(namespace, "ask-one", "status")
            yield Case("approvals: status", state, "PATCH", path, body, who=someone.who, by=(*POLICY, RBAC))

"""The approval controller in a small world."""

from __future__ import annotations

from typing import Any

from controllers.approval.handlers import build
from controllers.kube.resources import DEPLOYMENTS
from controllers.runtime.outcome import Key
from crds.v1alpha1.actionpolicy import Tier
from crds.v1alpha1.actions import Action
from crds.v1alpha1.approval import Approval, ApprovalState, DecisionVerdict
from crds.v1alpha1.digest import action_id
from crds.v1alpha1.execution import ActionPhase
from tests.fakes.chain import (
    NS,
    PLAN,
    Clock,
    add_incident,
    add_plan,
    context,
    decide_plan,
    deployment,
    say,
)
from tests.fakes.kube import FakeKube

KEY = Key(NS, PLAN)


APPROVE, REJECT = DecisionVerdict.APPROVE, DecisionVerdict.REJECT


OTHER = "sha256:" + "0" * 64


class Room:
    """The approval controller in a small world."""

    def __init__(self, *actions: Action, tier: Tier = Tier.HUMAN_APPROVAL, required: int = 1) -> None:
        self.clock = Clock()
        self.kube = FakeKube(self.clock)
        self.kube.add_raw(DEPLOYMENTS, deployment())
        add_incident(self.kube)
        self.plan = decide_plan(self.kube, add_plan(self.kube, *actions), tier=tier)
        if tier is Tier.HUMAN_APPROVAL:
            self.raw("approvals", PLAN)["spec"]["requiredApprovals"] = required
        self.controller = build(context(self.kube, self.clock))

    def run(self) -> Any:
        return self.controller.reconcile(KEY)

    @property
    def approval(self) -> Approval:
        return self.kube.get(Approval, NS, PLAN)

    @property
    def state(self) -> tuple[ApprovalState | None, str | None]:
        return self.approval.status.state, self.approval.status.reason

    @property
    def grants(self) -> set[str]:
        roles = {name for plural, _, name in self.kube.objects if plural == "roles"}
        bindings = {name for plural, _, name in self.kube.objects if plural == "rolebindings"}
        assert roles == bindings
        return roles

    def raw(self, plural: str, name: str) -> dict[str, Any]:
        return self.kube.objects[plural, NS, name]

    def execute(self, phase: ActionPhase, reason: str = "Started", action_phase: ActionPhase | None = None) -> None:
        actions = [] if phase is ActionPhase.REFUSED else [
            {
                "id": a.id, "actionId": action_id(self.plan.metadata.uid, a), "reason": "X",
                "phase": (action_phase or phase).value, "startedAt": "2026-01-02T03:05:00Z",
            }
            for a in self.plan.spec.actions
        ]  # fmt: skip
        execution = {"phase": phase.value, "reason": reason, "startedAt": "2026-01-02T03:05:00Z", "actions": actions}
        self.raw("actionplans", PLAN)["status"]["execution"] = execution


def approved_room(*actions: Action) -> Room:
    room = Room(*actions)
    say(room.kube, "alice", APPROVE)
    room.run()
    return room


def change_image(room: Room) -> None:
    room.raw("deployments", "payments")["spec"]["template"]["spec"]["containers"][0]["image"] = "shop:v2"

"""What somebody else would undo is refused before anybody is asked; what is not known, a person decides."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.kube.errors import Forbidden, KubeError, NotFound, Unavailable
from controllers.kube.resources import APPLICATIONS, DEPLOYMENTS, HPAS, KUSTOMIZATIONS, QUOTAS, SCALED_OBJECTS
from controllers.policy.handlers import build
from controllers.runtime.outcome import Key
from crds.v1alpha1.actionplan import ActionPlan, PlanState, PolicyDecision
from crds.v1alpha1.actionpolicy import Tier
from crds.v1alpha1.actions import Action
from crds.v1alpha1.approval import Approval
from tests.fakes.chain import NS, PLAN, Clock, add_incident, add_plan, add_policy, context, restart, rule, scale
from tests.fakes.kube import FakeKube
from tests.unit.controllers.arbitration.world import HEALS, KUSTOMIZED, TRACKED, application, entry, hpa, live

AUTO = rule(tier="AutoLowRisk", match={"namespaces": [NS], "actionTypes": ["ScaleDeployment"]})
PERSON = rule(tier="HumanApproval", match={"namespaces": [NS]}, name="person")


class Room:
    """The policy controller and one plan on one workload."""

    def __init__(self, body: dict[str, Any], *actions: Action, rules: tuple[dict[str, Any], ...] = (AUTO,)) -> None:
        self.kube = FakeKube(Clock())
        self.kube.add_raw(DEPLOYMENTS, body)
        add_incident(self.kube)
        add_plan(self.kube, *(actions or (scale(4),)))
        add_policy(self.kube, *rules)
        self.controller = build(context(self.kube, Clock()))

    def run(self) -> PolicyDecision:
        self.controller.reconcile(Key(NS, PLAN))
        decision = self.plan.status.decision
        assert decision is not None
        return decision

    @property
    def plan(self) -> ActionPlan:
        return self.kube.get(ActionPlan, NS, PLAN)


def self_healing(room: Room) -> None:
    room.kube.add_raw(APPLICATIONS, dict(HEALS.body or {}))


def test_a_scale_that_argo_would_undo_is_denied_with_what_to_do_instead() -> None:
    room = Room(live(entry("argocd-controller"), annotations=TRACKED))
    self_healing(room)
    decision = room.run()
    assert (decision.tier, decision.reason) == (Tier.FORBIDDEN, "ManagedByArgoCD")
    assert "Argo CD Application shop heals itself" in decision.message
    assert f"iirp plan patch {PLAN} -n {NS}" in decision.message
    assert room.plan.status.state is PlanState.DENIED
    assert room.kube.find(Approval, NS, PLAN) is None


def test_who_else_writes_is_shown_before_anybody_approves() -> None:
    room = Room(live(entry("argocd-controller"), annotations=TRACKED), rules=(PERSON,))
    room.kube.add_raw(APPLICATIONS, dict(application({}).body or {}))
    (writer,) = room.run().writers
    assert (writer.field, writer.mode.value, writer.writer) == (
        "spec.replicas", "imperative", "Argo CD Application shop",
    )  # fmt: skip
    assert "until the next commit" in writer.message
    assert room.plan.status.state is PlanState.AWAITING_APPROVAL


def _refuse(plural: str, error: type[KubeError]) -> Any:
    def fail(verb: str, asked: str, namespace: str, name: str) -> KubeError | None:
        return error("X", f"{plural} may not be read") if asked == plural else None

    return fail


@pytest.mark.parametrize(
    ("body", "plural", "error", "tier"),
    [
        (live(entry("argocd-controller"), annotations=TRACKED), "applications", Forbidden, Tier.HUMAN_APPROVAL),
        (live(entry("kustomize-controller"), labels=KUSTOMIZED), "kustomizations", Forbidden, Tier.HUMAN_APPROVAL),
        (live(entry("kustomize-controller"), labels=KUSTOMIZED), "kustomizations", NotFound, Tier.HUMAN_APPROVAL),
        (live(), "horizontalpodautoscalers", Forbidden, Tier.HUMAN_APPROVAL),
        (live(), "scaledobjects", Forbidden, Tier.HUMAN_APPROVAL),
        (live(), "scaledobjects", NotFound, Tier.AUTO_LOW_RISK),  # KEDA is not installed
        (live(), "resourcequotas", Forbidden, Tier.AUTO_LOW_RISK),  # the API server holds quotas by itself
    ],
)
def test_what_could_not_be_read_is_said_and_a_person_decides(
    body: Any, plural: str, error: type[KubeError], tier: Tier
) -> None:
    room = Room(body)
    room.kube.fail = _refuse(plural, error)
    decision = room.run()
    assert decision.tier is tier
    if tier is Tier.HUMAN_APPROVAL:
        (spoken,) = [r for r in decision.rules if r.rule == "writer-arbitration"]
        assert "so a person decides" in spoken.message


def test_an_api_server_that_does_not_answer_decides_nothing() -> None:
    room = Room(live())
    room.kube.fail = _refuse("scaledobjects", Unavailable)
    with pytest.raises(Unavailable):
        room.run()
    assert room.plan.status.decision is None


def test_an_autoscaler_that_came_after_the_approval_was_asked_ends_the_plan() -> None:
    room = Room(live(), rules=(PERSON,))
    assert room.run().tier is Tier.HUMAN_APPROVAL
    room.kube.add_raw(HPAS, hpa() | {"metadata": {"name": "payments", "namespace": NS}})
    decision = room.run()
    assert (decision.tier, decision.reason) == (Tier.FORBIDDEN, "PolicyTightened")
    assert decision.writers[0].writer == "HorizontalPodAutoscaler payments"


def test_a_restart_asks_for_no_autoscaler_and_no_quota() -> None:
    room = Room(live(), restart(), rules=(PERSON,))
    asked: list[str] = []
    room.kube.fail = lambda verb, plural, namespace, name: asked.append(plural)  # type: ignore[func-returns-value]
    room.run()
    assert not {r.plural for r in (HPAS, SCALED_OBJECTS, QUOTAS, KUSTOMIZATIONS, APPLICATIONS)} & set(asked)


def test_pods_that_no_quota_has_room_for_are_not_asked_for() -> None:
    room = Room(live())
    body = {"metadata": {"name": "team", "namespace": NS}, "status": {"hard": {"pods": "3"}, "used": {"pods": "2"}}}
    room.kube.add_raw(QUOTAS, body)
    decision = room.run()
    assert (decision.tier, decision.reason) == (Tier.FORBIDDEN, "QuotaExceeded")
    assert "room for 1 more pods of 2" in decision.message


def test_a_plan_that_somebody_wrote_never_runs_by_itself() -> None:
    """Who writes a plan writes its confidence too."""
    room = Room(live())
    assert room.run().tier is Tier.AUTO_LOW_RISK
    room = Room(live())
    room.kube.objects["actionplans", NS, PLAN]["spec"]["requestedBy"] = "alice"
    decision = room.run()
    assert decision.tier is Tier.HUMAN_APPROVAL
    assert [r.rule for r in decision.rules if r.policy == "(platform)"] == ["requester"]
    assert "requested by alice" in decision.message


def test_an_application_in_any_namespace_is_found_by_its_tracking_id() -> None:
    tracked = {"argocd.argoproj.io/tracking-id": f"team-a_shop:apps/Deployment:{NS}/payments"}
    room = Room(live(entry("argocd-controller"), annotations=tracked))
    body = dict(HEALS.body or {})
    room.kube.add_raw(APPLICATIONS, body | {"metadata": {"name": "shop", "namespace": "team-a"}})
    assert room.run().reason == "ManagedByArgoCD"

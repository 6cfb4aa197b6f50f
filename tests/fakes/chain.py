"""Objects of one incident's chain, put into a FakeKube the way the real writers would."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from controllers.kube.resources import DEPLOYMENTS, NAMESPACES, resource_type
from controllers.kube.targets import read_target
from controllers.runtime.controller import Context
from controllers.runtime.metrics import Metrics
from controllers.runtime.settings import Settings
from crds.v1alpha1.actionplan import ActionPlan, ActionPlanSpec, PolicyDecision
from crds.v1alpha1.actionpolicy import ActionPolicy, Tier
from crds.v1alpha1.actions import Action, ActionType, ScaleParameters
from crds.v1alpha1.approval import Approval, ApprovalSpec, ApprovalState, ApprovalStatus, Decision, DecisionVerdict
from crds.v1alpha1.base import LocalRef, Scope, Severity, TargetRef
from crds.v1alpha1.digest import plan_digest
from crds.v1alpha1.incident import DetectedBy, Incident, IncidentSpec
from tests.fakes.analysis import FakeAnalysis
from tests.fakes.kube import START, FakeKube, FakeRecorder

NS = "shop"
PLATFORM = "iirp-system"
REQUESTER = f"system:serviceaccount:{PLATFORM}:iirp-incident"
INCIDENT = "payments-leak-x7k2q"
PLAN = f"{INCIDENT}-1"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def context(kube: FakeKube, clock: Clock, analysis: FakeAnalysis | None = None, **settings: Any) -> Context:
    """What a controller is given, without a cluster."""
    return Context(
        settings=Settings(namespace=PLATFORM, **settings),
        kube=kube,
        events=FakeRecorder(),
        metrics=Metrics("test"),
        analysis=analysis,
        now=clock,
    )


def deployment(name: str = "payments", *, replicas: int = 2, **spec: Any) -> dict[str, Any]:
    """A Deployment whose rollout is through."""
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "app", "image": "shop:v1.9", "env": [{"name": "CACHE_SIZE", "value": "0"}]}]},
    }
    counts = ("replicas", "updatedReplicas", "availableReplicas", "readyReplicas")
    return {
        "metadata": {
            "name": name,
            "namespace": NS,
            "generation": 1,
            "uid": f"uid-deployments-{NS}-{name}",
            "annotations": {"deployment.kubernetes.io/revision": "7"},
        },
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template, **spec},
        "status": {"observedGeneration": 1, **dict.fromkeys(counts, replicas)},
    }


def roll_out(kube: FakeKube, name: str = "payments") -> None:
    """What the Deployment controller does, to the end."""
    body = kube.objects["deployments", NS, name]
    counts = ("replicas", "updatedReplicas", "availableReplicas", "readyReplicas")
    body["status"] = {
        "observedGeneration": body["metadata"]["generation"],
        **dict.fromkeys(counts, body["spec"]["replicas"]),
    }


def target(name: str = "payments", namespace: str = NS, uid: str = "") -> TargetRef:
    """Reference to the Deployment as FakeKube knows it."""
    return TargetRef(kind="Deployment", namespace=namespace, name=name, uid=uid or f"uid-deployments-{NS}-{name}")


def restart(name: str = "payments", action_id: str = "restart", **ref: str) -> Action:
    """A typed restart."""
    return Action(id=action_id, type=ActionType.RESTART_DEPLOYMENT, target=target(name, **ref))


def scale(replicas: int, name: str = "payments", action_id: str = "scale", **ref: str) -> Action:
    """A typed scale."""
    return Action(
        id=action_id,
        type=ActionType.SCALE_DEPLOYMENT,
        target=target(name, **ref),
        scale=ScaleParameters(replicas=replicas),
    )


def plan_spec(*actions: Action, confidence: int = 84, supersedes: ActionPlan | None = None) -> ActionPlanSpec:
    """A plan about the leak."""
    return ActionPlanSpec(
        incident_ref=LocalRef(name=INCIDENT, uid=f"uid-incidents-{NS}-{INCIDENT}"),
        supersedes=supersedes.ref() if supersedes else None,
        requested_by=REQUESTER,
        cause_kind="MemoryLeak",
        confidence_percent=confidence,
        actions=list(actions) or [restart()],
        summary="Restart deploy/payments",
    )


def add_incident(kube: FakeKube, severity: Severity = Severity.HIGH) -> Incident:
    """The incident, and the platform's namespace."""
    kube.add_raw(NAMESPACES, {"metadata": {"name": PLATFORM}})
    spec = IncidentSpec(
        fingerprint="0123456789abcdef",
        type="MemoryLeak",
        scope=Scope.WORKLOAD,
        target=target(),
        started_at=START,
        detected_at=START,
        detected_by=DetectedBy(rule="memory-leak", confidence_percent=90),
        severity=severity,
        summary="working set grows",
    )
    return kube.add(Incident, NS, INCIDENT, spec)


def add_plan(kube: FakeKube, *actions: Action, name: str = PLAN, **spec: Any) -> ActionPlan:
    """An undecided plan."""
    return kube.add(ActionPlan, NS, name, plan_spec(*actions, **spec), labels={"iirp.io/incident": INCIDENT})


def add_policy(kube: FakeKube, *rules: dict[str, Any], name: str = "shop") -> None:
    """An ActionPolicy; rules as on the wire."""
    kube.add_raw(resource_type(ActionPolicy), {"metadata": {"name": name}, "spec": {"rules": list(rules)}})


def rule(tier: str = "HumanApproval", name: str = "restarts", **rest: Any) -> dict[str, Any]:
    """A rule for the shop."""
    match = {"namespaces": rest.pop("namespaces", [NS])} | rest.pop("match", {})
    return {"name": name, "tier": tier, "match": match, **rest}


def decide_plan(kube: FakeKube, plan: ActionPlan, *, tier: Tier = Tier.HUMAN_APPROVAL, minutes: int = 30) -> ActionPlan:
    """What policy writes, with the digest of the live target, and the Approval that it creates."""
    live = {a.id: read_target(kube, NS, a, PLATFORM) for a in plan.spec.actions}
    digest = plan_digest(plan, live)
    approval_spec = ApprovalSpec(
        plan_ref=plan.ref(),
        plan_digest=digest,
        tier=tier,
        summary=plan.spec.summary,
        requested_by=plan.spec.requested_by,
        required_approvals=0 if tier is Tier.AUTO_LOW_RISK else 1,
        expires_at=START + timedelta(minutes=minutes),
    )
    approval = kube.add(Approval, NS, plan.metadata.name, approval_spec, labels={"iirp.io/incident": INCIDENT})
    decision = PolicyDecision(
        tier=tier,
        reason="ApprovalRequired",
        message="needs 1 approval",
        plan_digest=digest,
        required_approvals=approval_spec.required_approvals,
        approval_ref=approval.ref(),
        decided_at=START,
        expires_at=approval_spec.expires_at,
    )
    stored = kube.objects["actionplans", NS, plan.metadata.name]
    stored.setdefault("status", {})["decision"] = decision.to_wire()
    return kube.get(ActionPlan, NS, plan.metadata.name)


def say(
    kube: FakeKube, by: str, verdict: DecisionVerdict, name: str = PLAN, digest: str = "", reason: str = ""
) -> None:
    """What the MutatingAdmissionPolicy appends when a person annotates."""
    stored = kube.objects["approvals", NS, name]
    decision = Decision(by=by, verdict=verdict, reason=reason, plan_digest=digest or stored["spec"]["planDigest"])
    stored["spec"].setdefault("decisions", []).append(decision.to_wire())


def set_approval(kube: FakeKube, state: ApprovalState, name: str = PLAN) -> None:
    """What the approval controller writes."""
    kube.objects["approvals", NS, name]["status"] = ApprovalStatus(state=state, reason=state.value).to_wire()


def ready_plan(kube: FakeKube, *actions: Action, replicas: int = 2, name: str = PLAN) -> ActionPlan:
    """A decided plan with its approval given by alice and counted."""
    if ("deployments", NS, "payments") not in kube.objects:
        kube.add_raw(DEPLOYMENTS, deployment(replicas=replicas))
        add_incident(kube)
    plan = decide_plan(kube, add_plan(kube, *actions, name=name))
    say(kube, "alice", DecisionVerdict.APPROVE, name)
    set_approval(kube, ApprovalState.APPROVED, name)
    return plan

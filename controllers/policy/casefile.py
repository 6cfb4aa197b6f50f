"""Policy test files: what a plan looks like, and what policies must say about it. Pure; for `iirp policy test`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from controllers.policy.decide import Observed, Ruling, decide
from controllers.policy.match import Documents
from controllers.policy.target import Target
from controllers.policy.validity import PolicyEntry
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actionpolicy import Tier
from crds.v1alpha1.actions import SHAPES, ActionType, JobTemplate
from crds.v1alpha1.base import Percent, Severity

UID = "00000000-0000-0000-0000-000000000001"
CLAIM = "data"
"""What a case's target mounts."""


class _Strict(BaseModel):
    """camelCase in the file; an unknown key is an error, because a test that tests nothing is worse than none."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


class CaseTarget(_Strict):
    """The live workload. ``unavailable``: pods that a rollout may take away at once; ``nodes``: where its pods sit."""

    name: str = "app"
    replicas: int = 2
    ready: int | None = None
    unavailable: int = 0
    nodes: int = 1
    autoscaler: str = ""
    disruption_budget: str = ""
    disruptions_allowed: int = 0
    labels: dict[str, str] = Field(default_factory=dict)
    paused: bool = False


class CaseAction(_Strict):
    """``replicas`` for scales, ``revision`` for Rollback."""

    type: ActionType
    replicas: int | None = None
    revision: int | None = None


class Case(_Strict):
    """One situation."""

    namespace: str
    namespace_labels: dict[str, str] = Field(default_factory=dict)
    severity: Severity = Severity.MEDIUM
    cause: str = "MemoryLeak"
    confidence: Percent = 90
    actions: Annotated[list[CaseAction], Field(min_length=1, max_length=4)]
    target: CaseTarget = CaseTarget()
    requested_by: str = "system:serviceaccount:iirp-system:iirp-incident"
    at: datetime = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
    """The moment of the decision; a Monday morning unless said otherwise."""
    incident: dict[str, Any] = Field(default_factory=dict)
    report: dict[str, Any] = Field(default_factory=dict)


class Expectation(_Strict):
    """What is given must hold; ``rule`` is the strictest rule that matched, ``policy/rule`` or the rule alone."""

    tier: Tier
    reason: str | None = None
    approvals: int | None = None
    approvers: list[str] | None = None
    rule: str | None = None
    message: str | None = None
    """Words that the message has to hold."""


class Test(_Strict):
    """A named case."""

    __test__ = False  # no test class of pytest's

    name: str
    given: Case
    expect: Expectation


class CaseFile(_Strict):
    """``policies``: files beside it, each with one or more ActionPolicies."""

    policies: Annotated[list[str], Field(min_length=1)]
    tests: Annotated[list[Test], Field(min_length=1)]


@dataclass(frozen=True)
class Result:
    """``differences`` is empty when the case came out as expected."""

    name: str
    ruling: Ruling
    differences: tuple[str, ...]


def run(tests: Sequence[Test], policies: tuple[PolicyEntry, ...]) -> list[Result]:
    """Decide every case as the policy controller would."""
    return [_run(test, policies) for test in tests]


def observed_of(case: Case, policies: tuple[PolicyEntry, ...]) -> Observed:
    """What the policy controller would have gathered."""
    plan = _plan(case)
    target = _target(case.target)
    return Observed(
        plan=plan,
        severity=case.severity,
        policies=policies,
        targets={action.id: target for action in plan.spec.actions},
        documents=Documents(
            incident=case.incident,
            report=case.report,
            namespace={"metadata": {"name": case.namespace, "labels": case.namespace_labels}},
        ),
    )


def _run(test: Test, policies: tuple[PolicyEntry, ...]) -> Result:
    at = test.given.at if test.given.at.tzinfo is not None else test.given.at.replace(tzinfo=UTC)
    ruling = decide(observed_of(test.given, policies), at)
    return Result(test.name, ruling, tuple(_differences(test.expect, ruling)))


def _differences(expect: Expectation, ruling: Ruling) -> list[str]:
    decisive = next((rule for rule in ruling.rules if rule.matched), None)
    names = (decisive.rule, f"{decisive.policy}/{decisive.rule}") if decisive is not None else ("",)
    found = []
    for what, wanted, got in (
        ("tier", expect.tier.value, ruling.tier.value),
        ("reason", expect.reason, ruling.reason),
        ("approvals", expect.approvals, ruling.required_approvals),
        ("approvers", sorted(expect.approvers) if expect.approvers is not None else None, list(ruling.approvers)),
    ):
        if wanted is not None and wanted != got:
            found.append(f"{what} is {got}, not {wanted}")
    if expect.rule is not None and expect.rule not in names:
        found.append(f"rule is {names[-1] or 'none'}, not {expect.rule}")
    if expect.message is not None and expect.message not in ruling.message:
        found.append(f"the message does not say {expect.message!r}")
    return [*found, f"message: {ruling.message}"] if found else []


def _plan(case: Case) -> ActionPlan:
    actions = [_action(case, number, action) for number, action in enumerate(case.actions)]
    spec = {
        "incidentRef": {"name": "incident", "uid": UID},
        "requestedBy": case.requested_by,
        "causeKind": case.cause,
        "confidencePercent": case.confidence,
        "actions": actions,
        "summary": "test",
    }
    return ActionPlan.from_wire({"metadata": {"name": "plan", "namespace": case.namespace, "uid": UID}, "spec": spec})


def _action(case: Case, number: int, action: CaseAction) -> dict[str, Any]:
    shape, name = SHAPES[action.type], case.target.name
    target = {
        "apiVersion": shape.api_version,
        "kind": shape.kind,
        "namespace": case.namespace,
        "name": name,
        "uid": UID,
    }
    parameters: dict[str, Any] = {
        "scale": {"replicas": action.replicas},
        "rollback": {"replicaSet": f"{name}-1", "revision": action.revision or 1},
        "owner": {"kind": "ReplicaSet", "name": f"{name}-1"},
        "job": {"template": JobTemplate.DISK_USAGE.value, "claim": CLAIM},
    }
    given = {shape.parameter: parameters[shape.parameter]} if shape.parameter else {}
    return {"id": f"a{number}", "type": action.type.value, "target": target, **given}


def _target(given: CaseTarget) -> Target:
    return Target(
        uid=UID,
        replicas=given.replicas,
        paused=given.paused,
        autoscaler=given.autoscaler,
        ready=given.replicas if given.ready is None else given.ready,
        unavailable=given.unavailable,
        nodes=given.nodes,
        budget=given.disruption_budget,
        disruptions_allowed=given.disruptions_allowed,
        labels=given.labels,
        claims=(CLAIM,),
    )

"""Whether one rule has a say about one action of a plan, and if not, what keeps it from having one, in words. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from controllers.policy.conditions import evaluate
from controllers.policy.target import Target
from controllers.runtime.windows import describe, within
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actionpolicy import PolicyMatch, PolicyRule
from crds.v1alpha1.actions import Action
from crds.v1alpha1.base import Severity

ENVIRONMENT_LABEL = "iirp.io/environment"


@dataclass(frozen=True)
class Documents:
    """Objects as the API server serves them, for conditions; empty where there is none."""

    incident: Mapping[str, Any] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)
    namespace: Mapping[str, Any] = field(default_factory=dict)

    @property
    def namespace_labels(self) -> Mapping[str, str]:
        """Labels of the plan's namespace."""
        return (self.namespace.get("metadata") or {}).get("labels") or {}


@dataclass(frozen=True)
class Scene:
    """What a rule is held against: one action of a plan, its live target, and the moment."""

    plan: ActionPlan
    action: Action
    severity: Severity
    target: Target | None
    documents: Documents
    now: datetime

    def variables(self) -> dict[str, Any]:
        """What conditions can see."""
        metadata = self.plan.metadata
        return {
            "incident": dict(self.documents.incident),
            "report": dict(self.documents.report),
            "namespaceObject": dict(self.documents.namespace),
            "plan": {
                "metadata": {"name": metadata.name, "namespace": metadata.namespace, "labels": metadata.labels},
                "spec": self.plan.spec.to_wire(),
            },
            "action": self.action.to_wire(),
            "target": self.target.document() if self.target is not None else {},
            "severity": self.severity.value,
            "now": self.now,
        }


@dataclass(frozen=True)
class Match:
    """``why``: what kept a rule from matching. ``uncertain``: a condition that could not be evaluated, and why."""

    matched: bool
    why: str = ""
    uncertain: str = ""


def match(rule: PolicyRule, scene: Scene) -> Match:
    """Hold a rule that names the namespace against everything else it asks; the first difference is the reason."""
    for differs in _TESTS:
        if why := differs(rule.match, scene):
            return Match(False, why)
    return _conditions(rule.match, scene)


def matches_namespace(patterns: Sequence[str], namespace: str) -> bool:
    """Whether a namespace is named; ``*`` stands for any run of characters, nothing else is special."""
    return any(re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), namespace) for pattern in patterns)


def _conditions(wanted: PolicyMatch, scene: Scene) -> Match:
    """A condition that is false ends it, whatever others could not be told; so does no error."""
    uncertain = ""
    variables = scene.variables() if wanted.conditions else {}
    for condition in wanted.conditions:
        answer = evaluate(condition.expression, variables)
        if answer.holds is False:
            return Match(False, f"condition {condition.name} does not hold")
        if answer.holds is None:
            uncertain = uncertain or f"condition {condition.name} cannot be told ({answer.problem})"
    return Match(True, uncertain=uncertain)


def _one_of(what: str, value: str, wanted: Sequence[str]) -> str:
    if not wanted or value in wanted:
        return ""
    return f"{what} {value or '(none)'} is not {' or '.join(wanted)}"


def _labels(wanted: PolicyMatch, scene: Scene) -> str:
    labels = scene.target.labels if scene.target is not None else {}
    for label in wanted.target_labels:
        if label.key not in labels:
            return f"the target has no label {label.key}"
        if why := _one_of(f"label {label.key}", labels[label.key], label.values):
            return why
    return ""


def _period(wanted: PolicyMatch, scene: Scene) -> str:
    period = wanted.period
    if period is None or period.start <= scene.now <= period.end:
        return ""
    return f"outside the period {period.start:%Y-%m-%d %H:%M}Z to {period.end:%Y-%m-%d %H:%M}Z"


def _windows(wanted: PolicyMatch, scene: Scene) -> str:
    if wanted.windows and not any(within(window, scene.now) for window in wanted.windows):
        return f"outside {'; '.join(describe(window) for window in wanted.windows)}"
    inside = next((window for window in wanted.except_windows if within(window, scene.now)), None)
    return f"within {describe(inside)}" if inside is not None else ""


_TESTS: tuple[Callable[[PolicyMatch, Scene], str], ...] = (
    lambda wanted, scene: _one_of("action", scene.action.type.value, [kind.value for kind in wanted.action_types]),
    lambda wanted, scene: _one_of("cause", scene.plan.spec.cause_kind, wanted.cause_kinds),
    lambda wanted, scene: _one_of("severity", scene.severity.value, [level.value for level in wanted.severities]),
    lambda wanted, scene: _one_of(
        "environment", scene.documents.namespace_labels.get(ENVIRONMENT_LABEL, ""), wanted.environments
    ),
    _labels,
    _period,
    _windows,
)

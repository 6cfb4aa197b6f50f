"""Whether an ActionPolicy means something.

The CRD's schema refuses most nonsense at write time; an object that was stored before a schema change, or that
contradicts itself, is found here, reported in its status, and fails closed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from controllers.policy.conditions import problem_of
from controllers.runtime.windows import zone
from crds.v1alpha1.actionpolicy import ActionPolicySpec, PolicyRule, Tier
from crds.v1alpha1.quorum import GROUP_PREFIX

SHORTEST_EXPIRY = timedelta(minutes=1)
LONGEST_EXPIRY = timedelta(hours=24)
LONGEST_MEMORY = timedelta(days=30)
_PART = re.compile(r"([0-9]+)(s|m|h)")
_UNITS = {"s": 1, "m": 60, "h": 3600}
_WORDS = {
    "extra_forbidden": "there is no such key",
    "missing": "is missing",
    "model_type": "has to be an object",
    "list_type": "has to be a list",
}
"""For people who wrote YAML, where pydantic speaks of its own classes."""


@dataclass(frozen=True)
class PolicyEntry:
    """One ActionPolicy as the controller sees it. ``spec`` is None exactly when there are ``problems``."""

    name: str
    spec: ActionPolicySpec | None
    problems: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    """Namespace patterns that it names, readable or not: an invalid policy still makes these stricter."""

    @property
    def valid(self) -> bool:
        """True when its rules may be used."""
        return self.spec is not None


def parse_duration(text: str) -> timedelta:
    """``1h30m`` as a span.

    Raises:
        ValueError: not a sequence of numbers with the units s, m and h.
    """
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration such as 30m or 1h30m")
    return timedelta(seconds=sum(int(number) * _UNITS[unit] for number, unit in parts))


def read_policy(body: Mapping[str, Any], *, as_written: bool = False) -> PolicyEntry:
    """Parse an ActionPolicy as served; never raises on its content.

    Args:
        as_written: it comes from a file. The API server has not dropped what it does not know, so that is a problem: a
            rule whose condition is misspelt matches more than its author meant.
    """
    name = str(body.get("metadata", {}).get("name", ""))
    raw_spec = body.get("spec")
    namespaces = _named_namespaces(raw_spec)
    try:
        if as_written:
            spec = ActionPolicySpec.model_validate(raw_spec, extra="forbid", by_alias=True, by_name=False)
        else:
            spec = ActionPolicySpec.model_validate(raw_spec)
    except ValidationError as error:
        problems = tuple(
            f"{'.'.join(('spec', *map(str, item['loc'])))}: {_WORDS.get(item['type'], item['msg'])}"
            for item in error.errors()
        )
        return PolicyEntry(name, None, problems, namespaces)
    problems = tuple(problem for rule in spec.rules for problem in _rule_problems(rule))
    names = [rule.name for rule in spec.rules]
    problems += tuple(
        f"rule {n}: there are two rules of this name" for n in sorted({n for n in names if names.count(n) > 1})
    )
    return PolicyEntry(name, None if problems else spec, problems, namespaces)


def _rule_problems(rule: PolicyRule) -> list[str]:
    problems = [*_duration_problems(rule), *_condition_problems(rule)]
    if rule.tier is Tier.AUTO_LOW_RISK and "*" in rule.match.namespaces:
        problems.append("AutoLowRisk must name its namespaces; '*' would automate all of them")
    groups = any(name.startswith(GROUP_PREFIX) for name in rule.approvers)
    if rule.approvers and not groups and len(set(rule.approvers)) < rule.required_approvals:
        problems.append(f"{rule.required_approvals} approvals are required, and fewer approvers are named")
    if rule.autonomy is not None and rule.tier is not Tier.AUTO_LOW_RISK:
        problems.append("autonomy belongs to tier AutoLowRisk: nothing else runs by itself")
    period = rule.match.period
    if period is not None and period.start > period.end:
        problems.append("match.period ends before it starts")
    return [f"rule {rule.name}: {problem}" for problem in problems]


def _duration_problems(rule: PolicyRule) -> list[str]:
    problems = []
    bounded = (
        ("expiresAfter", rule.expires_after, SHORTEST_EXPIRY, LONGEST_EXPIRY),
        ("limits.retryIneffectiveAfter", rule.limits.retry_ineffective_after, timedelta(0), LONGEST_MEMORY),
        ("limits.breakerWindow", rule.limits.breaker_window, timedelta(0), LONGEST_MEMORY),
    )
    for name, text, shortest, longest in bounded:
        try:
            if not shortest <= parse_duration(text) <= longest:
                problems.append(f"{name} {text} is not between {_short(shortest)} and {_short(longest)}")
        except (ValueError, OverflowError) as error:
            problems.append(f"{name}: {error}")
    return problems


def _condition_problems(rule: PolicyRule) -> list[str]:
    problems = []
    for window in (*rule.match.windows, *rule.match.except_windows):
        try:
            zone(window.time_zone)
        except ValueError as error:
            problems.append(str(error))
    names = [condition.name for condition in rule.match.conditions]
    if len(set(names)) < len(names):
        problems.append("two conditions have the same name")
    told = ((condition.name, problem_of(condition.expression)) for condition in rule.match.conditions)
    return [*problems, *(f"condition {name}: {problem}" for name, problem in told if problem)]


def _short(span: timedelta) -> str:
    """``24h``, ``1m``, ``0m``."""
    minutes = int(span.total_seconds()) // 60
    return f"{minutes // 60}h" if minutes and minutes % 60 == 0 else f"{minutes}m"


def _named_namespaces(spec: Any) -> tuple[str, ...]:
    """All namespace patterns in whatever shape ``spec`` has; ``*`` when they cannot be read."""
    try:
        found = [str(pattern) for rule in spec["rules"] for pattern in rule["match"]["namespaces"]]
    except (KeyError, TypeError, IndexError):
        return ("*",)
    return tuple(dict.fromkeys(found)) or ("*",)

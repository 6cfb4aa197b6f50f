"""Re-decides from the log alone: the same functions, the same inputs, and the answer must be the same byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from analysis.contract import VerifyResponse
from controllers.approval import decide as approval
from controllers.audit.codec import decode, encode
from controllers.execution import decide as execution
from controllers.feedback import decide as feedback
from controllers.feedback import observed
from controllers.policy import decide as policy
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.digest import canonical_json
from crds.v1alpha1.incident import Incident

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Replayed:
    """``same`` is None for records that are no decisions (a recovery after a crash)."""

    seq: int
    kind: str
    about: str
    same: bool | None
    note: str = ""
    """What differs, or what was decided."""


def _policy_decide(inputs: Record, now: datetime) -> Any:
    return policy.decide(decode(policy.Observed, inputs["observed"]), now)


def _policy_tier_now(inputs: Record, now: datetime) -> Any:
    return policy.tier_now(decode(policy.Observed, inputs["observed"]), now)


def _approval_decide(inputs: Record, now: datetime) -> Any:
    return approval.decide(decode(approval.Observed, inputs["observed"]), now)


def _execution_decide(inputs: Record, now: datetime) -> Any:
    return execution.decide(decode(execution.Observed, inputs["observed"]), now)


def _feedback_answered(inputs: Record, now: datetime) -> Any:
    return feedback.answered(decode(feedback.Ask, inputs["step"]), decode(VerifyResponse, inputs["answer"]), now)


def _feedback_unanswered(inputs: Record, now: datetime) -> Any:
    plan, step = decode(ActionPlan, inputs["plan"]), decode(feedback.Ask, inputs["step"])
    return feedback.unanswered(plan, step, inputs["reason"], inputs["message"], now)


def _feedback_concluded(inputs: Record, _: datetime) -> Any:
    return feedback.concluded(decode(ActionPlan, inputs["plan"]))


def _feedback_observed(inputs: Record, now: datetime) -> Any:
    plan, incident = decode(ActionPlan, inputs["plan"]), decode(Incident, inputs["incident"])
    states = decode(list[observed.TargetState], inputs["states"])
    return observed.observe(plan, incident, decode(observed.Look, inputs["look"]), states, now)


FUNCTIONS: Mapping[str, Callable[[Record, datetime], Any]] = {
    "policy.decide": _policy_decide,
    "policy.tier_now": _policy_tier_now,
    "approval.decide": _approval_decide,
    "execution.decide": _execution_decide,
    "feedback.answered": _feedback_answered,
    "feedback.unanswered": _feedback_unanswered,
    "feedback.concluded": _feedback_concluded,
    "feedback.observed": _feedback_observed,
}


def replay(records: Iterable[Record]) -> list[Replayed]:
    """Every record in the given order; a record that this version cannot read differs, with the reason."""
    return [_replay(record) for record in records]


def of_incident(records: Iterable[Record], incident: str, namespace: str = "") -> list[Record]:
    """Records of one incident, over all logs, by time."""
    found = [
        record
        for record in records
        if record.get("incident") == incident and namespace in ("", record.get("about", {}).get("namespace"))
    ]
    return sorted(found, key=lambda record: (datetime.fromisoformat(record["at"]), record["controller"], record["seq"]))


def _replay(record: Record) -> Replayed:
    seq, kind = int(record["seq"]), str(record.get("kind", ""))
    subject = record.get("about") or {}
    about = f"{subject.get('kind', '')} {subject.get('namespace', '')}/{subject.get('name', '')}" if subject else ""
    if "decision" not in record:
        return Replayed(seq, kind, about, None)
    function = FUNCTIONS.get(kind)
    if function is None:
        return Replayed(seq, kind, about, False, "this version knows no such decision")
    try:
        again = function(record["inputs"], datetime.fromisoformat(record["at"]))
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        return Replayed(seq, kind, about, False, f"this version cannot read it: {str(error).splitlines()[0]}")
    if type(again).__name__ != record["step"] or canonical_json(encode(again)) != canonical_json(record["decision"]):
        return Replayed(seq, kind, about, False, f"decides {type(again).__name__} {_brief(encode(again))} now")
    return Replayed(seq, kind, about, True, _brief(record["decision"]))


def _brief(decision: Any) -> str:
    """State, tier or phase and the reason, where there are such."""
    if not isinstance(decision, Mapping):
        return ""
    flat = {**decision, **(decision.get("status") or {})}
    return " ".join(str(flat[key]) for key in ("tier", "state", "phase", "verdict", "reason") if flat.get(key))

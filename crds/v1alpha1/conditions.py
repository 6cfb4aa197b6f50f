"""Conditions that keep their transition time: the one rule of ``metav1.Condition`` that is easy to get wrong."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from crds.v1alpha1.base import Condition, ConditionStatus
from crds.v1alpha1.clip import clip


class Wanted(NamedTuple):
    """What a condition should say now. ``status`` None means that nothing is known yet: ``Unknown``."""

    type: str
    status: bool | None
    reason: str
    message: str = ""


def merge(
    previous: Iterable[Condition], wanted: Iterable[Wanted], now: datetime, generation: int | None = None
) -> list[Condition]:
    """``wanted`` as conditions; ``lastTransitionTime`` moves only when a condition's status does."""
    before = {condition.type: condition for condition in previous}
    result = []
    for item in wanted:
        status = {True: ConditionStatus.TRUE, False: ConditionStatus.FALSE, None: ConditionStatus.UNKNOWN}[item.status]
        old = before.get(item.type)
        since = old.last_transition_time if old is not None and old.status is status else now
        result.append(
            Condition(
                type=item.type,
                status=status,
                reason=item.reason,
                message=clip(Condition, "message", item.message),
                last_transition_time=since,
                observed_generation=generation,
            )
        )
    return result

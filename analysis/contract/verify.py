"""``/verify``: whether the actions helped."""

from __future__ import annotations

from datetime import datetime

from analysis.contract.facts import IncidentFacts
from analysis.contract.message import Message
from crds.v1alpha1.actions import Action
from crds.v1alpha1.base import Window
from crds.v1alpha1.verification import Verdict


class VerifyRequest(Message):
    """Did these actions help? Asked repeatedly until ``verdict`` is set or the window is over."""

    cluster: str = ""
    incident: IncidentFacts
    actions: tuple[Action, ...]
    executed_at: datetime
    """When the last action had finished (rollout complete)."""
    window: Window
    """From ``executed_at`` to the end of the verification."""
    final: bool = False
    """True at the end of the window: answer ``Inconclusive`` rather than nothing."""


class MeasuredChange(Message):
    """A quantity before and after, beside its control."""

    name: str
    query: str
    unit: str
    before: float
    after: float
    control_before: float | None = None
    control_after: float | None = None


class VerifyResponse(Message):
    """``verdict`` is None while the data do not suffice yet and the window still runs."""

    verdict: Verdict | None
    reason: str
    message: str
    measurements: tuple[MeasuredChange, ...] = ()

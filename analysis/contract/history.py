"""``/history``: what is kept when the objects are gone."""

from __future__ import annotations

from analysis.contract.message import Message
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.approval import Approval
from crds.v1alpha1.incident import Incident
from crds.v1alpha1.rcareport import RCAReport


class HistoryRecord(Message):
    """An incident's chain as it is now, for the history. Sending it again changes nothing."""

    cluster: str
    incident: Incident
    reports: tuple[RCAReport, ...] = ()
    plans: tuple[ActionPlan, ...] = ()
    approvals: tuple[Approval, ...] = ()


class HistoryAnswer(Message):
    """Whether the history keeps it; False where none is configured, and then nobody need send more."""

    kept: bool

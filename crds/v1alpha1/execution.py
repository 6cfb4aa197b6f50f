"""What the executor did: `status.execution` of an ActionPlan."""

# ruff: noqa: RUF012  pydantic copies defaults, and the models are frozen

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from crds.v1alpha1.actions import RollbackParameters, ScaleParameters
from crds.v1alpha1.base import ApiModel, Digest, Line, Text, Time, Word

Output = Annotated[str, StringConstraints(max_length=4096)]
"""As much as a kubelet passes on of a container's last words."""


class ActionPhase(StrEnum):
    """How far an action has come. ``Intent`` is settled by looking at the target, never by repeating."""

    INTENT = "Intent"
    WRITTEN = "Written"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    REFUSED = "Refused"


class Undo(ApiModel):
    """What takes an action back: the parameters of another one of the same type."""

    scale: ScaleParameters | None = None
    """Of a scale: as many as there were."""
    rollback: RollbackParameters | None = None
    """Of a rollback: the revision that ran."""


class ActionResult(ApiModel):
    """What one action did."""

    id: Annotated[str, StringConstraints(max_length=20)]
    """The action's id in ``spec.actions``."""
    action_id: Annotated[str, StringConstraints(max_length=64)]
    """Value that every write of this action carries: derived from the plan's UID and the action's id."""
    phase: ActionPhase
    reason: Word
    """CamelCase word for programs."""
    message: Text = ""
    """The same for people."""
    started_at: Time
    """When the intent was recorded, before the first write."""
    written_at: Time | None = None
    """When the write was known to have taken effect; the time for the rollout counts from here."""
    finished_at: Time | None = None
    """When it had succeeded or failed."""
    target_digest: Digest | None = None
    """Of the live target when the intent was recorded."""
    before: Line = ""
    """State of the target before."""
    after: Line = ""
    """State of the target after."""
    undo: Undo | None = None
    """How to take it back, where that is an action; recorded with the intent."""
    output: Output = ""
    """What a diagnostic Job reported: data, cut to fit."""


class ExecutionStatus(ApiModel):
    """Written by the execution controller."""

    phase: ActionPhase
    """How far the plan as a whole has come."""
    reason: Word
    """CamelCase word for programs."""
    message: Text = ""
    """The same for people."""
    actions: Annotated[list[ActionResult], Field(max_length=4)] = []
    """One result per action begun."""
    started_at: Time
    """When the executor took it up."""
    finished_at: Time | None = None
    """When it was through."""

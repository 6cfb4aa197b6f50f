"""Whether it helped: `status.verification` of an ActionPlan, and the verdict that an Incident repeats."""

# ruff: noqa: RUF012  pydantic copies defaults, and the models are frozen

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from crds.v1alpha1.base import ApiModel, Measure, Query, Text, Time, Unit, Window, Word


class Verdict(StrEnum):
    """What became of an action. ``RecoveredAnyway``: untouched siblings recovered just as well."""

    EFFECTIVE = "Effective"
    INEFFECTIVE = "Ineffective"
    RECOVERED_ANYWAY = "RecoveredAnyway"
    INCONCLUSIVE = "Inconclusive"


class Measurement(ApiModel):
    """A quantity before and after the action, beside the untouched control."""

    name: Annotated[str, StringConstraints(max_length=64)]
    """What was measured."""
    query: Query
    """PromQL to run again."""
    unit: Unit
    """Unit of all four numbers."""
    before: Measure
    """At the target, before the action."""
    after: Measure
    """At the target, after the action."""
    control_before: Measure | None = None
    """At the untouched siblings, before."""
    control_after: Measure | None = None
    """At the untouched siblings, after."""


class VerificationStatus(ApiModel):
    """Written by the feedback controller."""

    verdict: Verdict | None = None
    """Unset while the measurement runs."""
    reason: Word
    """CamelCase word for programs."""
    message: Text = ""
    """The same for people."""
    window: Window
    """From the end of the action to the end of the measurement."""
    measurements: Annotated[list[Measurement], Field(max_length=8)] = []
    """The numbers behind the verdict."""
    completed_at: Time | None = None
    """When the verdict was reached."""

"""The typed actions. Nothing else can be asked of the executor: no commands, no manifests, no free text."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from crds.v1alpha1.base import ApiModel, TargetRef


class ActionType(StrEnum):
    """What the executor can do."""

    RESTART_DEPLOYMENT = "RestartDeployment"
    SCALE_DEPLOYMENT = "ScaleDeployment"


_VERBS = {ActionType.RESTART_DEPLOYMENT: "Restart", ActionType.SCALE_DEPLOYMENT: "Scale"}


class ScaleParameters(ApiModel):
    """Absolute, so that repeating it changes nothing."""

    replicas: int = Field(ge=1, le=50)
    """Number of replicas afterwards."""


class Action(ApiModel):
    """One typed action: a union discriminated by ``type``."""

    id: Annotated[str, StringConstraints(max_length=20, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """Unique within the plan."""
    type: ActionType
    target: TargetRef
    """The live object to act on; its namespace is the plan's."""
    scale: ScaleParameters | None = None
    """Required for ScaleDeployment."""

    cel_rules: ClassVar[tuple[tuple[str, str], ...]] = (
        (
            "has(self.scale) == (self.type == 'ScaleDeployment')",
            "scale is required for ScaleDeployment and forbidden otherwise",
        ),
        (
            "self.target.kind == 'Deployment' && self.target.apiVersion == 'apps/v1'",
            "RestartDeployment and ScaleDeployment need a target of kind Deployment in apps/v1",
        ),
        (
            "has(self.target.uid) && self.target.uid != ''",
            "target.uid is required: an action is about one live object, not about a name",
        ),
        (
            "has(self.target.namespace) && self.target.namespace != ''",
            "target.namespace is required: it is the namespace of the plan",
        ),
    )

    def describe(self) -> str:
        """``Restart deploy/payments``: for columns, events and the timeline."""
        text = f"{_VERBS[self.type]} {self.target.short()}"
        return f"{text} to {self.scale.replicas}" if self.scale else text

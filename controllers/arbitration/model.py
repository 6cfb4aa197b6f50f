"""What writers are made of, before and after they are judged. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controllers.arbitration.fields import Field
from crds.v1alpha1.actionplan import WriteMode
from crds.v1alpha1.actions import Action

Body = Mapping[str, Any]


@dataclass(frozen=True)
class Looked:
    """One object that was looked up. ``problem``: why it could not be read; no body and no problem: it is not there."""

    body: Body | None = None
    problem: str = ""


@dataclass(frozen=True)
class Listed:
    """Objects that were listed. A kind that the cluster does not serve has no objects, and that is no problem."""

    items: tuple[Body, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Surroundings:
    """Everything besides the target that says who writes it."""

    autoscalers: Listed = Listed()
    scaled_objects: Listed = Listed()
    vertical: Listed = Listed()
    application: Looked = Looked()
    kustomization: Looked = Looked()
    helm_release: Looked = Looked()
    quotas: Listed = Listed()


@dataclass(frozen=True)
class Subject:
    """The live target of an action, and what surrounds it."""

    action: Action
    live: Body
    around: Surroundings = field(default_factory=Surroundings)

    @property
    def group(self) -> str:
        """API group of the target; empty for the core group."""
        version = self.action.target.api_version
        return version.rsplit("/", 1)[0] if "/" in version else ""

    @property
    def labels(self) -> Mapping[str, str]:
        """Of the live object."""
        return self.live["metadata"].get("labels") or {}

    @property
    def annotations(self) -> Mapping[str, str]:
        """Of the live object."""
        return self.live["metadata"].get("annotations") or {}

    @property
    def namespace(self) -> str:
        """Of the live object."""
        return str(self.live["metadata"].get("namespace", ""))

    @property
    def name(self) -> str:
        """Of the live object."""
        return str(self.live["metadata"]["name"])

    def is_ref(self, ref: Body) -> bool:
        """Whether a ``scaleTargetRef`` or ``targetRef`` names this target; an absent version is apps, an absent kind a
        Deployment, as KEDA has it."""
        version = str(ref.get("apiVersion") or "apps/v1")
        group = version.rsplit("/", 1)[0] if "/" in version else ""
        kind = ref.get("kind") or "Deployment"
        return (group, kind, ref.get("name")) == (self.group, self.action.target.kind, self.name)


@dataclass(frozen=True)
class Claim:
    """One writer's hold on one field."""

    field: Field
    mode: WriteMode
    writer: str
    reason: str
    message: str
    certain: bool = True

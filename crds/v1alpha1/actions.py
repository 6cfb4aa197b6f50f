"""The typed actions. Nothing else can be asked of the executor: no commands, no manifests, no free text.

What a type does, to what, and which of its parameters it needs is said once, in :data:`SHAPES`; schema rules, digests,
grants, policy and the executor follow from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from crds.v1alpha1.base import ApiModel, Name, TargetRef


class ActionType(StrEnum):
    """What the executor can do."""

    RESTART_DEPLOYMENT = "RestartDeployment"
    RESTART_STATEFUL_SET = "RestartStatefulSet"
    RESTART_DAEMON_SET = "RestartDaemonSet"
    RESTART_POD = "RestartPod"
    SCALE_DEPLOYMENT = "ScaleDeployment"
    SCALE_STATEFUL_SET = "ScaleStatefulSet"
    ROLLBACK = "Rollback"
    PAUSE_ROLLOUT = "PauseRollout"
    RUN_JOB = "RunJob"


class Effect(StrEnum):
    """What changes in the cluster; types that differ only in the kind of their target share one."""

    RESTART = "restart"
    """New pods from the same template: two annotations of the pod template."""
    SCALE = "scale"
    """Another number of replicas."""
    ROLLBACK = "rollback"
    """The pod template of an earlier revision."""
    DELETE_POD = "delete-pod"
    """One pod goes; the controller that owns it makes another."""
    PAUSE = "pause"
    """A rollout stands still."""
    RUN_JOB = "run-job"
    """Nothing of the workload: a Job looks at one of its volumes and says what it saw."""


@dataclass(frozen=True)
class ActionShape:
    """What one type does, and to what."""

    effect: Effect
    verb: str
    """As in ``Restart deploy/payments``."""
    grant: str
    """First word of the grant's name: tells effect and kind, so that a grant for one kind is none for another."""
    api_version: str = "apps/v1"
    kind: str = "Deployment"
    parameter: str = ""
    """The one parameter field that it needs; the others are forbidden."""


SHAPES: Mapping[ActionType, ActionShape] = MappingProxyType(
    {
        ActionType.RESTART_DEPLOYMENT: ActionShape(Effect.RESTART, "Restart", "restart"),
        ActionType.RESTART_STATEFUL_SET: ActionShape(
            Effect.RESTART, "Restart", "restart-statefulset", kind="StatefulSet"
        ),
        ActionType.RESTART_DAEMON_SET: ActionShape(Effect.RESTART, "Restart", "restart-daemonset", kind="DaemonSet"),
        ActionType.RESTART_POD: ActionShape(
            Effect.DELETE_POD, "Restart", "delete-pod", api_version="v1", kind="Pod", parameter="owner"
        ),
        ActionType.SCALE_DEPLOYMENT: ActionShape(Effect.SCALE, "Scale", "scale", parameter="scale"),
        ActionType.SCALE_STATEFUL_SET: ActionShape(
            Effect.SCALE, "Scale", "scale-statefulset", kind="StatefulSet", parameter="scale"
        ),
        ActionType.ROLLBACK: ActionShape(Effect.ROLLBACK, "Roll back", "rollback", parameter="rollback"),
        ActionType.PAUSE_ROLLOUT: ActionShape(Effect.PAUSE, "Pause rollout of", "pause"),
        ActionType.RUN_JOB: ActionShape(Effect.RUN_JOB, "Diagnose", "run-job", parameter="job"),
    }
)


MAX_REPLICAS = 50


class ScaleParameters(ApiModel):
    """Absolute, so that repeating it changes nothing."""

    replicas: int = Field(ge=1, le=MAX_REPLICAS)
    """Number of replicas afterwards."""


class RollbackParameters(ApiModel):
    """The revision to go back to, by the object that keeps its pod template."""

    replica_set: Name
    """ReplicaSet of the Deployment; the new pod template equals its template, byte for byte."""
    revision: int = Field(ge=1)
    """Its revision number when the plan was made, as in ``kubectl rollout history``."""


class OwnerKind(StrEnum):
    """Controllers that make a new pod in place of one that goes."""

    REPLICA_SET = "ReplicaSet"
    STATEFUL_SET = "StatefulSet"
    DAEMON_SET = "DaemonSet"


class OwnerParameters(ApiModel):
    """The controller of a pod, whose readiness ends the action."""

    kind: OwnerKind
    """Kind of the controller."""
    name: Name
    """Name of the controller."""


class JobTemplate(StrEnum):
    """Reviewed diagnostic Jobs, each a PodTemplate ``iirp-job-NAME`` in the platform's namespace."""

    DISK_USAGE = "disk-usage"
    """The largest folders and files of a volume, and which of them grew last."""


MAX_CLAIM = 128
"""Longer names of claims are rare, and a report holds four actions."""


class JobParameters(ApiModel):
    """What a diagnostic Job runs, and what it may read."""

    template: JobTemplate
    """The pod that runs; the digest that people approve covers its content."""
    claim: Annotated[str, StringConstraints(max_length=MAX_CLAIM, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
    """PersistentVolumeClaim of the target that it reads, mounted read-only."""


def _types(**wanted: str) -> list[str]:
    return [kind.value for kind, shape in SHAPES.items() if all(getattr(shape, k) == v for k, v in wanted.items())]


def _parameter_rules() -> Iterator[tuple[str, str]]:
    for name in ("scale", "rollback", "owner", "job"):
        types = _types(parameter=name)
        listed = ", ".join(f"'{kind}'" for kind in types)
        yield (
            f"has(self.{name}) == (self.type in [{listed}])",
            f"{name} is required for {' and '.join(types)} and forbidden otherwise",
        )


def _target_rules() -> Iterator[tuple[str, str]]:
    for api_version, kind in dict.fromkeys((shape.api_version, shape.kind) for shape in SHAPES.values()):
        types = _types(api_version=api_version, kind=kind)
        listed = ", ".join(f"'{one}'" for one in types)
        same = f"self.target.kind == '{kind}' && self.target.apiVersion == '{api_version}'"
        yield (
            f"!(self.type in [{listed}]) || ({same})",
            f"{', '.join(types)} need{'s' if len(types) == 1 else ''} a target of kind {kind} in {api_version}",
        )


class Action(ApiModel):
    """One typed action: a union discriminated by ``type``."""

    id: Annotated[str, StringConstraints(max_length=20, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """Unique within the plan."""
    type: ActionType
    target: TargetRef
    """The live object to act on; its namespace is the plan's."""
    scale: ScaleParameters | None = None
    """Required for ScaleDeployment and ScaleStatefulSet."""
    rollback: RollbackParameters | None = None
    """Required for Rollback."""
    owner: OwnerParameters | None = None
    """Required for RestartPod: who makes the new pod."""
    job: JobParameters | None = None
    """Required for RunJob."""

    cel_rules: ClassVar[tuple[tuple[str, str], ...]] = (
        *_parameter_rules(),
        *_target_rules(),
        (
            "has(self.target.uid) && self.target.uid != ''",
            "target.uid is required: an action is about one live object, not about a name",
        ),
        (
            "has(self.target.namespace) && self.target.namespace != ''",
            "target.namespace is required: it is the namespace of the plan",
        ),
    )

    @property
    def shape(self) -> ActionShape:
        """What this type does, and to what."""
        return SHAPES[self.type]

    @property
    def effect(self) -> Effect:
        """What changes in the cluster."""
        return self.shape.effect

    def describe(self) -> str:
        """``Restart deploy/payments``: for columns, events and the timeline."""
        text = f"{self.shape.verb} {self.target.short()}"
        if self.scale is not None:
            return f"{text} to {self.scale.replicas}"
        if self.job is not None:
            return f"{text}: {self.job.template} of {self.job.claim}"
        return f"{text} to revision {self.rollback.revision}" if self.rollback is not None else text

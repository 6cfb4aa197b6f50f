"""Which fields an action changes, as paths to hold managedFields, manifests and JSON pointers against. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from crds.v1alpha1.actions import Action

REPLICAS = "spec.replicas"
TEMPLATE = "spec.template"
_RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"


@dataclass(frozen=True)
class Field:
    """One changed field. ``label`` is how people read it."""

    label: str
    path: tuple[str, ...]

    @property
    def pointer(self) -> str:
        """RFC 6901."""
        return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in self.path)


_RESTART = Field(
    f"spec.template.metadata.annotations[{_RESTARTED_AT}]",
    ("spec", "template", "metadata", "annotations", _RESTARTED_AT),
)
_SCALE = Field(REPLICAS, ("spec", "replicas"))
_TEMPLATE = Field(TEMPLATE, ("spec", "template"))
_PAUSED = Field("spec.paused", ("spec", "paused"))


def changed_fields(action: Action) -> tuple[Field, ...]:
    """Fields of a shared object that the action sets; none where it deletes a pod, creates a Job, or acts on a node.

    The mark ``iirp.io/action-id`` that every write carries is left out: nobody else writes it, and the action has had
    its effect when somebody prunes it.
    """
    name = action.type.value
    if name.startswith("Scale"):
        return (_SCALE,)
    if name.startswith("Rollback"):
        return (_TEMPLATE,)
    if name.startswith("PauseRollout"):
        return (_PAUSED,)
    if name.startswith("Restart") and action.target.kind != "Pod":
        return (_RESTART,)
    return ()

"""Helm releases by hand, and operators that own the object. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from controllers.arbitration import argocd, flux
from controllers.arbitration.fields import Field
from controllers.arbitration.managed import declares, managers
from controllers.arbitration.model import Claim, Subject
from crds.v1alpha1.actionplan import WriteMode

HELM_LABEL = ("app.kubernetes.io/managed-by", "Helm")
HELM_RELEASE = "meta.helm.sh/release-name"
HELM_MANAGER = "helm"


def claims(subject: Subject, field: Field) -> Iterator[Claim]:
    """What Helm and an owning operator say about a field."""
    if (name := release(subject)) and not _delivered(subject):
        writer = f"Helm release {name}"
        message = "nothing undoes this now, but the next upgrade sets the field again; change the values too"
        if declares(subject.live, field, {HELM_MANAGER}) is False:
            message = "the chart does not set it"
        yield Claim(field, WriteMode.IMPERATIVE, writer, "SetByHelm", f"{writer}: {message}")
    for ref in subject.live["metadata"].get("ownerReferences") or ():
        if ref.get("controller"):
            writer = f"{ref.get('kind', '?')} {ref.get('name', '?')}"
            message = f"{writer} owns this object and its operator may set the field again; change {writer} instead"
            yield Claim(field, WriteMode.NEEDS_PAUSE, writer, "OwnedByOperator", message, certain=False)


def release(subject: Subject) -> str:
    """Name of the Helm release. The label alone does not count: what Helm rendered carries it wherever it goes."""
    key, value = HELM_LABEL
    if subject.labels.get(key) != value:
        return ""
    name = subject.annotations.get(HELM_RELEASE, "")
    return name or ("(unnamed)" if HELM_MANAGER in managers(subject.live) else "")


def _delivered(subject: Subject) -> bool:
    """By Argo CD or Flux, which then speak for it."""
    return argocd.tracking(subject) is not None or flux.owner(subject, flux.HELM) is not None

"""Flux: Kustomizations and HelmReleases behind the labels that its controllers put on objects. Pure.

Sources: Flux's API references (Kustomization v1: controlling the apply behaviour, suspend, ignore rules, inventory;
HelmRelease v2: drift detection). kustomize-controller corrects drift at every reconcile, but only of fields that its
source sets, and prunes only what kubectl's field managers added; so a restart annotation by our field manager stays.
"""

from __future__ import annotations

from collections.abc import Iterator

from controllers.arbitration.fields import Field
from controllers.arbitration.ignoring import covers, flux_target_matches
from controllers.arbitration.managed import declares
from controllers.arbitration.model import Body, Claim, Looked, Subject
from crds.v1alpha1.actionplan import WriteMode

KUSTOMIZE = "kustomize.toolkit.fluxcd.io"
HELM = "helm.toolkit.fluxcd.io"
KUSTOMIZE_MANAGERS = frozenset({"kustomize-controller"})
HELM_MANAGERS = frozenset({"helm-controller"})
REASON = "ManagedByFlux"


def owner(subject: Subject, prefix: str) -> tuple[str, str] | None:
    """(namespace, name) of the Kustomization or HelmRelease that the labels name."""
    name = subject.labels.get(f"{prefix}/name", "")
    return (subject.labels.get(f"{prefix}/namespace", "") or subject.namespace, name) if name else None


def claims(subject: Subject, field: Field) -> Iterator[Claim]:
    """What Flux says about a field."""
    if (found := owner(subject, KUSTOMIZE)) and not _elsewhere(subject):
        yield _kustomization(subject, field, f"Kustomization {found[0]}/{found[1]}")
    if found := owner(subject, HELM):
        yield _helm_release(subject, field, f"HelmRelease {found[0]}/{found[1]}")


def _kustomization(subject: Subject, field: Field, writer: str) -> Claim:
    looked = subject.around.kustomization
    declared = declares(subject.live, field, KUSTOMIZE_MANAGERS)
    if declared is False:
        return _lasts(field, writer, f"the source of {writer} does not set it")
    if text := _marked(subject):
        return _lasts(field, writer, f"{writer} leaves this object alone ({text})")
    if looked.body is None:
        return _unknown(field, writer, looked)
    spec = looked.body.get("spec") or {}
    if spec.get("suspend"):
        return _lasts(
            field, writer, f"{writer} is suspended; it undoes this when it is resumed, unless it is committed"
        )
    if _ignored(spec.get("ignore"), subject, field):
        return _lasts(field, writer, f"{writer} ignores drift of this field")
    return _reverts(field, writer, "applies its source again at every interval", declared)


def _helm_release(subject: Subject, field: Field, writer: str) -> Claim:
    looked = subject.around.helm_release
    declared = declares(subject.live, field, HELM_MANAGERS)
    if declared is False:
        return _lasts(field, writer, f"the chart of {writer} does not set it")
    if _says(subject, f"{HELM}/driftDetection", "disabled"):
        return _lasts(field, writer, f"{writer} does not correct drift of this object")
    if looked.body is None:
        return _unknown(field, writer, looked)
    spec = looked.body.get("spec") or {}
    drift = spec.get("driftDetection") or {}
    if spec.get("suspend"):
        return _lasts(field, writer, f"{writer} is suspended; its next upgrade sets the field again")
    if drift.get("mode") != "enabled":
        return _lasts(
            field, writer, f"{writer} does not correct drift; its next upgrade sets the field again, so commit it"
        )
    if _ignored(drift.get("ignore"), subject, field):
        return _lasts(field, writer, f"{writer} ignores drift of this field")
    return _reverts(field, writer, "corrects drift", declared)


def _marked(subject: Subject) -> str:
    """The object's own word that Flux is to leave it alone."""
    if _says(subject, f"{KUSTOMIZE}/reconcile", "disabled"):
        return "reconcile: disabled"
    for value in ("Ignore", "IfNotPresent"):
        if _says(subject, f"{KUSTOMIZE}/ssa", value):
            return f"ssa: {value}"
    return ""


def _says(subject: Subject, key: str, value: str) -> bool:
    """Flux reads these from annotations and labels alike, whatever their case."""
    return any(found.get(key, "").lower() == value.lower() for found in (subject.annotations, subject.labels))


def _elsewhere(subject: Subject) -> bool:
    """The Kustomization has an inventory and this object is not in it: the labels were copied."""
    body = subject.around.kustomization.body
    entries = ((body or {}).get("status") or {}).get("inventory", {}).get("entries")
    if not entries:
        return False
    identity = f"{subject.namespace}_{subject.name}_{subject.group}_{subject.action.target.kind}"
    return all(entry.get("id") != identity for entry in entries)


def _ignored(rules: object, subject: Subject, field: Field) -> bool:
    found: list[Body] = [rule for rule in rules if isinstance(rule, dict)] if isinstance(rules, list) else []
    return any(covers(r.get("paths") or (), field) and flux_target_matches(r.get("target"), subject) for r in found)


def _reverts(field: Field, writer: str, how: str, declared: bool | None) -> Claim:
    message = f"{writer} {how} and would undo this; commit the change to its source instead"
    if declared is None:
        message = f"{writer} {how}; whether its source sets this field is not known; if so it would undo this"
    return Claim(field, WriteMode.NEEDS_PULL_REQUEST, writer, REASON, message, certain=bool(declared))


def _unknown(field: Field, writer: str, looked: Looked) -> Claim:
    why = looked.problem or "it is not in this cluster"
    message = (
        f"{writer} could not be read ({why}), so whether it would undo this is not known; commit the change instead"
    )
    return Claim(field, WriteMode.NEEDS_PULL_REQUEST, writer, "FluxUnknown", message, certain=False)


def _lasts(field: Field, writer: str, message: str) -> Claim:
    return Claim(field, WriteMode.IMPERATIVE, writer, "LeftAloneByFlux", message)

"""Argo CD: what its tracking-id, its Application and the field managers say about a field. Pure.

Sources: Argo CD's documentation of resource tracking (``<application>:<group>/<kind>:<namespace>/<name>``, the
application as ``<namespace>_<name>`` where it lives outside Argo CD's namespace), of automated sync (drift alone is
corrected only with self-heal) and of diffing customisation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from controllers.arbitration.fields import Field
from controllers.arbitration.ignoring import argocd_rule_matches, covers, covers_jq
from controllers.arbitration.managed import declares, managers
from controllers.arbitration.model import Body, Claim, Subject
from crds.v1alpha1.actionplan import WriteMode

TRACKING_ID = "argocd.argoproj.io/tracking-id"
SKIP_RECONCILE = "argocd.argoproj.io/skip-reconcile"
MANAGERS = frozenset({"argocd-controller", "argocd-application-controller"})
OUR_MANAGER = "iirp-execution"
REASON = "ManagedByArgoCD"


@dataclass(frozen=True)
class Tracking:
    """A tracking-id, taken apart; ``namespace`` of the Application is empty for Argo CD's own."""

    namespace: str
    application: str
    of: tuple[str, str, str, str]
    """group, kind, namespace and name of the object that it was made for."""


def tracking(subject: Subject) -> Tracking | None:
    """The tracking-id if it names this very object. One that was copied along with a manifest names another."""
    parts = subject.annotations.get(TRACKING_ID, "").split(":")
    if len(parts) != 3 or not all(parts):
        return None
    application, kind, name = parts
    group, _, kind = kind.partition("/")
    namespace, _, name = name.partition("/")
    if (group, kind, namespace, name) != (subject.group, subject.action.target.kind, subject.namespace, subject.name):
        return None
    where, _, app = application.rpartition("_")
    return Tracking(where, app, (group, kind, namespace, name))


def claims(subject: Subject, field: Field) -> Iterator[Claim]:
    """What Argo CD says about a field."""
    found = tracking(subject)
    if found is None:
        if MANAGERS & managers(subject.live) and declares(subject.live, field, MANAGERS, client_side=True) is not False:
            message = "Argo CD wrote this object, but no tracking-id says for which Application"
            yield Claim(field, WriteMode.NEEDS_PULL_REQUEST, "Argo CD", "ArgoCDUnknown", message, certain=False)
        return
    yield _judge(subject, field, found)


def _judge(subject: Subject, field: Field, found: Tracking) -> Claim:
    writer = f"Argo CD Application {found.application}"
    declared = declares(subject.live, field, MANAGERS, client_side=True)
    application = subject.around.application
    if declared is False:
        return _lasts(field, writer, f"the Git source of {writer} does not set it")
    if application.body is None:
        why = application.problem or "there is no such Application in this cluster"
        message = (
            f"{writer} could not be read ({why}), so whether it heals itself is not known; commit the change instead"
        )
        return Claim(field, WriteMode.NEEDS_PULL_REQUEST, writer, "ArgoCDUnknown", message, certain=False)
    if text := _left_alone(subject, field, application.body):
        return _lasts(field, writer, f"{writer} {text}")
    message = f"{writer} heals itself and would undo this; commit the change to its source instead"
    if declared is None:
        message = f"{writer} heals itself; whether its source sets this field is not known; if so it would undo this"
    return Claim(field, WriteMode.NEEDS_PULL_REQUEST, writer, REASON, message, certain=bool(declared))


def _left_alone(subject: Subject, field: Field, application: Body) -> str:
    """Why the Application does not correct the field by itself; empty when it does."""
    spec = application.get("spec") or {}
    if (application["metadata"].get("annotations") or {}).get(SKIP_RECONCILE, "").lower() == "true":
        return "is paused (skip-reconcile); it undoes this when it goes on, unless it is committed"
    for rule in spec.get("ignoreDifferences") or ():
        if argocd_rule_matches(rule, subject) and (
            covers(rule.get("jsonPointers") or (), field)
            or covers_jq(rule.get("jqPathExpressions") or (), field)
            or OUR_MANAGER in (rule.get("managedFieldsManagers") or ())
        ):
            return "ignores differences in this field"
    automated = (spec.get("syncPolicy") or {}).get("automated")
    if automated is None or automated.get("enabled") is False:
        return "is synced by hand: the change lasts until the next sync, so commit it too"
    if not automated.get("selfHeal"):
        return "syncs new commits and does not heal itself: the change lasts until the next commit, so commit it too"
    return ""


def _lasts(field: Field, writer: str, message: str) -> Claim:
    return Claim(field, WriteMode.IMPERATIVE, writer, "LeftAloneByArgoCD", message)

"""Changes of workloads from the API server's own record: their revisions, conditions and managedFields. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from analysis.contract import Change, ChangeKind
from controllers.kube.facts import parse_time
from controllers.rca.revisions import KEPT_IN, Revision, revisions_of
from controllers.rca.surroundings import WORKLOADS
from controllers.rca.template import template_changes
from crds.v1alpha1.base import TargetRef, Window

Body = Mapping[str, Any]

MAX_CHANGES = 20
MAX_CHANGES_OF_ALL = 60
MAX_SUMMARY = 300
REUSED = timedelta(seconds=30)
"""A revision this much older than the rollout to it existed before: the rollout was a rollback."""


def changes_of(target: TargetRef, workload: Body, kept: Iterable[Body], window: Window) -> tuple[Change, ...]:
    """Rollouts and scalings within ``window``, oldest first, newest kept when there are too many.

    Args:
        kept: the objects that keep the workload's revisions.
    """
    found = [*_rollouts(target, workload, revisions_of(target.kind, kept)), *_scalings(target, workload)]
    recent = sorted((item for item in found if window.start <= item.at <= window.end), key=lambda item: item.at)
    return tuple(recent[-MAX_CHANGES:])


def all_changes(
    target: TargetRef,
    subjects: Sequence[TargetRef],
    workloads: Iterable[tuple[TargetRef, Body]],
    kept: Mapping[str, Sequence[Body]],
    window: Window,
    around: Iterable[Change] = (),
) -> tuple[Change, ...]:
    """Changes of all workloads of a namespace and of what they depend on, oldest first.

    Those of the incident's own workloads are kept before the neighbours' when there are too many.

    Args:
        subjects: the workloads that the incident is about.
        kept: the objects that keep revisions, by the UID of their owner.
        around: changes of what workloads depend on, at any time.
    """
    mine = {target.name, *(one.name for one in subjects)}
    own: list[Change] = []
    others: list[Change] = []
    for change in around:
        if window.start <= change.at <= window.end:
            (own if change.target.name in mine else others).append(change)
    for one, body in workloads:
        found = changes_of(one, body, kept.get(one.uid, ()), window)
        (own if one.name in mine else others).extend(found)
    own.sort(key=_order)
    others.sort(key=_order)
    first = own[-MAX_CHANGES:]
    return tuple(sorted([*first, *others[-(MAX_CHANGES_OF_ALL - len(first)) :]], key=_order))


def _order(change: Change) -> tuple[datetime, str, str]:
    return change.at, change.target.name, change.revision


def _rollouts(target: TargetRef, workload: Body, revisions: Sequence[Revision]) -> Iterator[Change]:
    born = parse_time(workload["metadata"].get("creationTimestamp"))
    kept_in = KEPT_IN[target.kind]
    for position, revision in enumerate(revisions):
        previous = revisions[position - 1] if position else None
        if previous is None and (born is None or revision.created - born > REUSED):
            continue  # the oldest that is still kept: what it changed is not known any more
        last = position == len(revisions) - 1
        at = _rolled_out_at(workload, revision, previous) if last else revision.created
        words = _words(revision, previous, rolled_back=at - revision.created > REUSED)
        yield Change(
            kind=ChangeKind.ROLLOUT,
            at=at,
            target=target,
            revision=str(revision.number),
            actor=_actor(workload, at) if last else "",
            summary=words[:MAX_SUMMARY],
            reference=kept_in.path(target.namespace, revision.name),
            previous_revision=str(previous.number) if previous is not None else "",
            previous_reference=kept_in.path(target.namespace, previous.name) if previous is not None else "",
        )


def _rolled_out_at(workload: Body, revision: Revision, previous: Revision | None) -> datetime:
    """Creation of the revision; of an older one that was taken up again, when it was numbered anew.

    Of a Deployment that is told by when it last began to progress.
    """
    if previous is None or revision.created >= previous.created:
        return revision.created
    if revision.numbered is not None:
        return revision.numbered
    for condition in (workload.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Progressing":
            return parse_time(condition.get("lastUpdateTime")) or revision.created
    return revision.created


def _words(revision: Revision, previous: Revision | None, *, rolled_back: bool) -> str:
    if previous is None:
        return "created"
    changes = template_changes(previous.template, revision.template)
    text = ", ".join(changes) or "template changed in fields that are not compared"
    return f"rolled back to an earlier template: {text}" if rolled_back else text


def _scalings(target: TargetRef, workload: Body) -> Iterator[Change]:
    replicas = (workload.get("spec") or {}).get("replicas")
    for entry in workload["metadata"].get("managedFields") or ():
        spec = (entry.get("fieldsV1") or {}).get("f:spec") or {}
        at = parse_time(entry.get("time"))
        alone = set(spec) == {"f:replicas"}
        if at is not None and "f:replicas" in spec and (entry.get("subresource") == "scale" or alone):
            yield Change(
                kind=ChangeKind.SCALE,
                at=at,
                target=target,
                actor=str(entry.get("manager", "")),
                summary=f"replicas set to {replicas}",
                reference=WORKLOADS[target.kind].path(target.namespace, target.name),
            )


def _actor(workload: Body, at: datetime) -> str:
    """Field manager of the pod template whose write is closest before the rollout."""
    best: tuple[datetime, str] | None = None
    for entry in workload["metadata"].get("managedFields") or ():
        when = parse_time(entry.get("time"))
        owns = "f:template" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
        if owns and when is not None and when <= at + REUSED and (best is None or when > best[0]):
            best = when, str(entry.get("manager", ""))
    return best[1] if best is not None else ""

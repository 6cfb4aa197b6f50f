"""The change of an action as a manifest patch that a person can commit, aimed at whoever holds the field. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from controllers.arbitration import autoscalers
from controllers.arbitration.fields import REPLICAS, TEMPLATE, Field, changed_fields
from controllers.arbitration.model import Body, Subject
from crds.v1alpha1.base import format_time

HASH_LABEL = "pod-template-hash"


@dataclass(frozen=True)
class Patch:
    """A partial manifest (strategic merge patch, as kustomize's ``patches`` and ``kubectl patch`` take it)."""

    body: dict[str, Any]
    notes: tuple[str, ...] = ()
    """Where it belongs, one line each."""


def patches(subject: Subject, now: datetime, template: Body | None = None) -> tuple[Patch, ...]:
    """One patch per object that the action's change belongs to; none where nothing lasting is changed.

    Args:
        subject: the action, its live target and who else writes it.
        now: stands in the restart annotation.
        template: the pod template of a rollback; it cannot be told from the plan alone.
    """
    found = (_of_field(subject, field, now, template) for field in changed_fields(subject.action))
    return tuple(patch for patch in found if patch is not None)


def _of_field(subject: Subject, field: Field, now: datetime, template: Body | None) -> Patch | None:
    notes = tuple(sources(subject))
    if field.label == REPLICAS:
        return _replicas(subject, notes)
    if field.label == TEMPLATE:
        return None if template is None else _workload(subject, {"template": _without_hash(template)}, notes)
    value: Any = True if field.label == "spec.paused" else format_time(now)
    return _workload(subject, _nested(field.path[1:], value), notes)


def _replicas(subject: Subject, notes: tuple[str, ...]) -> Patch | None:
    scale = subject.action.scale
    if scale is None:
        return None
    if (found := autoscalers.scaled_object(subject)) is not None:
        return _scaled_object(subject, found, scale.replicas)
    if (found := autoscalers.horizontal(subject)) is not None:
        spec = found.get("spec") or {}
        low, high = _bounds(subject, scale.replicas, int(spec.get("minReplicas", 1)), int(spec.get("maxReplicas", 1)))
        return Patch(
            _manifest("autoscaling/v2", "HorizontalPodAutoscaler", found, {"minReplicas": low, "maxReplicas": high}),
            ("it holds the replicas within these bounds; undo the change when the incident is over",),
        )
    return _workload(subject, {"replicas": scale.replicas}, notes)


def _scaled_object(subject: Subject, body: Body, wanted: int) -> Patch:
    metadata, spec = body["metadata"], body.get("spec") or {}
    if autoscalers.PAUSED_REPLICAS in (metadata.get("annotations") or {}):
        manifest = _manifest("keda.sh/v1alpha1", "ScaledObject", body, {})
        manifest["metadata"]["annotations"] = {autoscalers.PAUSED_REPLICAS: str(wanted)}
        return Patch(manifest, ("it is paused at a number of replicas, and this is the new one",))
    low, high = _bounds(subject, wanted, int(spec.get("minReplicaCount", 0)), int(spec.get("maxReplicaCount", 100)))
    manifest = _manifest("keda.sh/v1alpha1", "ScaledObject", body, {"minReplicaCount": low, "maxReplicaCount": high})
    return Patch(manifest, ("it holds the replicas within these bounds; undo the change when the incident is over",))


def _bounds(subject: Subject, wanted: int, low: int, high: int) -> tuple[int, int]:
    """More pods: raise the floor; fewer: lower the ceiling. The other bound gives way only where it must."""
    if wanted >= int(subject.live["spec"].get("replicas", 1)):
        return max(low, wanted), max(high, wanted)
    return min(low, wanted), min(high, wanted)


def sources(subject: Subject) -> Iterator[str]:
    """Where the manifest is kept, as the delivering tool says it."""
    around = subject.around
    if around.application.body is not None:
        spec = around.application.body.get("spec") or {}
        for source in [spec["source"]] if spec.get("source") else spec.get("sources") or ():
            where = f" path {source['path']}" if source.get("path") else f" chart {source.get('chart', '?')}"
            yield f"source: {_public(source.get('repoURL'))}{where} at {source.get('targetRevision') or 'HEAD'}"
    if around.kustomization.body is not None:
        spec = around.kustomization.body.get("spec") or {}
        ref = spec.get("sourceRef") or {}
        yield f"source: {ref.get('kind', '?')} {ref.get('name', '?')} path {spec.get('path') or './'}"
    if around.helm_release.body is not None:
        yield "rendered by a chart: set the value that renders this, or add it to spec.postRenderers of the HelmRelease"


def _public(url: Any) -> str:
    """A repository's address without what may be a password in it."""
    parts = urlsplit(str(url or "?"))
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if parts.netloc else str(url or "?")


def _workload(subject: Subject, spec: dict[str, Any], notes: Iterable[str]) -> Patch:
    target = subject.action.target
    return Patch(_manifest(target.api_version, target.kind, subject.live, spec), tuple(notes))


def _manifest(api_version: str, kind: str, body: Body, spec: dict[str, Any]) -> dict[str, Any]:
    found = {"name": body["metadata"]["name"], "namespace": body["metadata"].get("namespace", "")}
    metadata = {key: value for key, value in found.items() if value}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata} | ({"spec": spec} if spec else {})


def _nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    return {path[0]: _nested(path[1:], value) if len(path) > 1 else value}


def _without_hash(template: Body) -> dict[str, Any]:
    """A ReplicaSet's pod template as the Deployment had it."""
    metadata = dict(template.get("metadata") or {})
    metadata.pop("creationTimestamp", None)
    metadata["labels"] = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH_LABEL}
    return {**template, "metadata": metadata}

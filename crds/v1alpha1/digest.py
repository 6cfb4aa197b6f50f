"""What an approval is about, as one SHA-256: the plan, the target's identity, and the part of it that would change.

Policy computes the digest when it decides, people approve it, and approval and the executor recompute it from live
objects: any difference voids the approval (S4). All functions are pure. Objects go in as the API server serves them
(``dict`` from JSON); the canonical form is JSON with sorted keys and no spaces, in UTF-8.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actions import Action, Effect

ACTION_ID_ANNOTATION = "iirp.io/action-id"
"""Carried by every patch of the executor: on the pod template (restart), on the workload itself (all others)."""
RESTARTED_AT_ANNOTATION = "kubectl.kubernetes.io/restartedAt"
RESTART_ANNOTATIONS = (ACTION_ID_ANNOTATION, RESTARTED_AT_ANNOTATION)
HASH_LABEL = "pod-template-hash"
"""Put on a ReplicaSet's template by the Deployment controller; no part of the Deployment's own."""
RELATED = "related"
"""Key under which :mod:`controllers.kube.targets` adds the objects besides the target that an action rests on."""

FORMAT = "iirp.io/plan-digest/v1"
"""Part of the digest, so that a later change of what is covered cannot collide with an older approval."""

JsonObject = Mapping[str, Any]


def canonical_json(value: Any) -> bytes:
    """Byte-identical for equal JSON values: sorted keys, no whitespace, UTF-8, no NaN or Infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def sha256(value: Any) -> str:
    """``sha256:<64 hex>`` of the canonical JSON of ``value``."""
    return "sha256:" + hashlib.sha256(canonical_json(value)).hexdigest()


def action_id(plan_uid: str, action: Action) -> str:
    """Identity of one action of one plan, for example ``act-5f0c9d2e4b7a8813``; the same after every restart of ours.

    The plan's UID never repeats in a cluster, so neither does this: a plan of the same name made later has other ids.
    """
    hashed = hashlib.sha256(canonical_json({"plan": plan_uid, "action": action.id})).hexdigest()
    return f"act-{hashed[:16]}"


def live_part(action: Action, live: JsonObject) -> dict[str, Any]:
    """The target's identity and the part of it that ``action`` would change.

    A restart re-creates pods from the template, so the whole template counts (another image or variable voids the
    approval) except the two annotations that a restart sets: with those, our own write would void it. A scale
    changes ``spec.replicas``; the template is left out because a scale approved for a workload stays right when
    somebody rolls out a new version of it. A rollback goes from one template to another, so both count, and the
    ReplicaSet that keeps the other. A pause holds one rollout, that of the present template. A diagnostic Job changes
    nothing of its target; what counts is the pod that it runs. A pod's UID says it all.
    """
    metadata, spec = live["metadata"], live["spec"]
    part: dict[str, Any] = {
        "apiVersion": action.target.api_version,
        "kind": action.target.kind,
        "namespace": metadata.get("namespace", ""),
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    match action.effect:
        case Effect.RESTART:
            part["template"] = _template_without_restart(spec["template"])
        case Effect.SCALE:
            # The API server defaults replicas to 1; an object that went through a client without it means the same.
            part["replicas"] = int(spec.get("replicas", 1))
        case Effect.ROLLBACK:
            part |= {"template": _template_without_restart(spec["template"]), "to": _revision(live)}
        case Effect.PAUSE:
            part |= {"template": _template_without_restart(spec["template"]), "paused": bool(spec.get("paused"))}
        case Effect.RUN_JOB:
            part["pod"] = _job_template(live)
        case Effect.DELETE_POD:
            pass
    return part


def related(live: JsonObject, name: str) -> JsonObject | None:
    """An object besides the target that the action rests on, as served; None when there is none."""
    found: JsonObject | None = (live.get(RELATED) or {}).get(name)
    return found


def rollback_template(replica_set: JsonObject) -> dict[str, Any]:
    """The pod template that a ReplicaSet keeps, as its Deployment had it: without the ReplicaSet's own label."""
    template = dict(replica_set["spec"]["template"])
    metadata = {
        key: value for key, value in (template.get("metadata") or {}).items() if key in ("labels", "annotations")
    }
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH_LABEL}
    return {**template, "metadata": {**metadata, "labels": labels}}


def target_digest(action: Action, live: JsonObject) -> str:
    """Digest of :func:`live_part`: what must not change between approval and this action's write."""
    return sha256(live_part(action, live))


def plan_digest(plan: ActionPlan, live: Mapping[str, JsonObject | None]) -> str:
    """Digest of the plan and of all its live targets.

    Args:
        plan: as served; its spec is immutable, its UID is its identity.
        live: the live target of each action, by action id within the plan (``Action.id``); None when there is none,
            which gives a digest that no approval is ever asked for.
    """
    return sha256(
        {
            "format": FORMAT,
            "plan": {
                "namespace": plan.metadata.namespace,
                "name": plan.metadata.name,
                "uid": plan.metadata.uid,
                # Without defaults: an optional field that a later version adds leaves approvals in flight as they are.
                "spec": plan.spec.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True),
            },
            "targets": [
                {"action": action.id, "type": action.type.value, "live": _live(action, live.get(action.id))}
                for action in plan.spec.actions
            ],
        }
    )


def _job_template(live: JsonObject) -> dict[str, Any] | None:
    """What the reviewed PodTemplate runs; its labels and annotations name the release that brought it."""
    found = related(live, "podTemplate")
    return dict(found["template"]) if found is not None else None


def _live(action: Action, live: JsonObject | None) -> dict[str, Any] | None:
    return None if live is None else live_part(action, live)


def _revision(live: JsonObject) -> dict[str, Any] | None:
    found = related(live, "replicaSet")
    if found is None:
        return None
    metadata = found["metadata"]
    return {"name": metadata["name"], "uid": metadata["uid"], "template": rollback_template(found)}


def same_template(one: JsonObject, other: JsonObject) -> bool:
    """The same pods would come of both; annotations of an earlier restart make no difference, all others do."""
    return _template_without_restart(one) == _template_without_restart(other)


def _template_without_restart(template: JsonObject) -> dict[str, Any]:
    """The pod template as if it had never been restarted by annotation."""
    result = dict(template)
    metadata = dict(template.get("metadata") or {})
    # Served as null by some API server versions; it says nothing about a template.
    metadata.pop("creationTimestamp", None)
    annotations = {k: v for k, v in (metadata.pop("annotations", None) or {}).items() if k not in RESTART_ANNOTATIONS}
    if annotations:
        metadata["annotations"] = annotations
    if not metadata.get("labels"):
        metadata.pop("labels", None)
    result.pop("metadata", None)
    if metadata:
        result["metadata"] = metadata
    return result

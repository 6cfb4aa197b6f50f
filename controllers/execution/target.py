"""The target of one action as the executor sees it: did our write take effect, is what follows through. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from crds.v1alpha1 import rollout
from crds.v1alpha1.actions import MAX_REPLICAS, Action, Effect, RollbackParameters, ScaleParameters
from crds.v1alpha1.digest import (
    ACTION_ID_ANNOTATION,
    JsonObject,
    related,
    rollback_template,
    same_template,
    target_digest,
)
from crds.v1alpha1.execution import Undo
from crds.v1alpha1.owners import owned_by


@dataclass(frozen=True)
class Live:
    """The target of one action, now."""

    uid: str
    resource_version: str
    digest: str
    """Of the part that the action would change: see :func:`crds.v1alpha1.digest.target_digest`."""
    applied: bool
    """Our write took effect at some time: its id is on the object or on a revision that it made, or the pod goes."""
    in_force: bool
    """Our write is still what the object says."""
    complete: bool
    """What follows from what the object says is through."""
    stalled: str
    """Why it cannot get through any more; empty otherwise."""
    summary: str
    """``revision 3, 2/2 available``."""
    undo: Undo | None = None
    """What would take the action back now, before it was written."""
    output: str = ""
    """What a diagnostic Job said in the end; written by a program that read somebody's data, so hostile."""


def read(action: Action, action_id: str, live: JsonObject, revisions: Iterable[JsonObject] = ()) -> Live:
    """Reduce a workload to what decisions need.

    Args:
        revisions: ReplicaSets or ControllerRevisions of its namespace: for a restart that may have been written, and
            for a rollback that has not begun.
    """
    metadata, kind = live["metadata"], action.shape.kind
    carries = _carries(action, action_id, live)
    revisions = tuple(revisions)
    made = any(owned_by(one, metadata["uid"]) and _template_id(one) == action_id for one in revisions)
    return Live(
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        digest=target_digest(action, live),
        applied=carries or made,
        in_force=carries and _says_so(action, live),
        complete=_complete(action, live),
        stalled=rollout.stalled(live),
        summary=rollout.summary(kind, live),
        undo=_undo(action, live, revisions),
    )


def _undo(action: Action, live: JsonObject, revisions: Iterable[JsonObject]) -> Undo | None:
    """Back to the number of replicas, or to the revision, that there is now."""
    if action.scale is not None and 1 <= rollout.replicas(live) <= MAX_REPLICAS:
        return Undo(scale=ScaleParameters(replicas=rollout.replicas(live)))
    if action.rollback is None:
        return None
    number = rollout.revision(live)
    mine = (one for one in revisions if owned_by(one, live["metadata"]["uid"]) and rollout.revision(one) == number)
    name = next((one["metadata"]["name"] for one in mine), "") if number else ""
    return Undo(rollback=RollbackParameters(replica_set=name, revision=number)) if name else None


def read_pod(action: Action, pod: JsonObject | None, owner: JsonObject | None) -> Live:
    """Reduce a pod and its controller. A pod of another UID is another pod: the one that is meant is gone."""
    gone = pod is None or pod["metadata"]["uid"] != action.target.uid
    leaving = gone or (pod is not None and "deletionTimestamp" in pod["metadata"])
    digest = target_digest(action, pod) if pod is not None else ""
    kind = action.owner.kind.value if action.owner is not None else ""
    where = f"{kind} {action.owner.name}" if action.owner is not None else "its controller"
    state = rollout.summary(kind, owner) if owner is not None else "gone"
    return Live(
        uid=action.target.uid if gone or pod is None else pod["metadata"]["uid"],
        resource_version="" if pod is None else pod["metadata"]["resourceVersion"],
        digest=digest,
        applied=leaving,
        in_force=leaving,
        complete=gone and owner is not None and rollout.complete(kind, owner),
        stalled=f"{where} is gone, so no other pod will come" if gone and owner is None else "",
        summary=f"{'gone' if gone else 'terminating' if leaving else 'there'}; {where}: {state}",
    )


def read_job(
    action: Action, action_id: str, target: JsonObject, job: JsonObject | None, pods: Iterable[JsonObject]
) -> Live:
    """Reduce a diagnostic Job, which is not the target: that stays as it is."""
    metadata = target["metadata"]
    ours = job is not None and (job["metadata"].get("annotations") or {}).get(ACTION_ID_ANNOTATION) == action_id
    state, why = _job_state(job) if job is not None else ("not there", "")
    made = [pod for pod in pods if job is not None and owned_by(pod, job["metadata"]["uid"])]
    return Live(
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        # Somebody else's Job in the place of ours: nothing that was approved can be done.
        digest=target_digest(action, target) if job is None or ours else "",
        applied=ours,
        in_force=ours,
        complete=state == "Complete",
        stalled=why if state == "Failed" else "",
        summary=f"job {state}",
        output=next((text for pod in made if (text := _last_words(pod))), ""),
    )


def _job_state(job: JsonObject) -> tuple[str, str]:
    """``Complete``, ``Failed`` with Kubernetes' reason, or ``running``."""
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True":
            why = f"{condition.get('reason') or 'Failed'}: {condition.get('message') or 'no message'}"
            return str(condition["type"]), why
    return "running", ""


def _last_words(pod: JsonObject) -> str:
    """The termination message of its container, which the kubelet bounds to 4 KiB."""
    for container in (pod.get("status") or {}).get("containerStatuses") or ():
        ended = (container.get("state") or {}).get("terminated") or {}
        if ended.get("message"):
            return str(ended["message"])
    return ""


def _complete(action: Action, live: JsonObject) -> bool:
    if action.effect is not Effect.PAUSE:
        return rollout.complete(action.shape.kind, live)
    seen = int((live.get("status") or {}).get("observedGeneration", 0))
    return seen >= int(live["metadata"].get("generation", 0))


def _says_so(action: Action, live: JsonObject) -> bool:
    """The field that the action sets still has its value, whoever changed what around it."""
    spec = live["spec"]
    if action.scale is not None:
        return rollout.replicas(live) == action.scale.replicas
    if action.effect is Effect.PAUSE:
        return bool(spec.get("paused"))
    kept = related(live, "replicaSet")
    if action.effect is Effect.ROLLBACK and kept is not None:
        return same_template(spec["template"], rollback_template(kept))
    return True


def _carries(action: Action, action_id: str, live: JsonObject) -> bool:
    if action.effect is Effect.RESTART:
        return _template_id(live) == action_id
    return (live["metadata"].get("annotations") or {}).get(ACTION_ID_ANNOTATION) == action_id


def _template_id(body: JsonObject) -> str:
    """Of a workload, a ReplicaSet or a ControllerRevision (whose ``data`` holds a patch of the workload)."""
    spec = body.get("spec") or (body.get("data") or {}).get("spec") or {}
    annotations = ((spec.get("template") or {}).get("metadata") or {}).get("annotations") or {}
    return str(annotations.get(ACTION_ID_ANNOTATION, ""))

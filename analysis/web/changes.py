"""What a plan would change, exactly: the executor's own patch, tried at the API server without being kept.

The server-side dry run is made as the person who looks. Who may read the target but not patch it sees the same patch
laid over the live object by this server instead, and is told so. Nothing decides by what is shown here.
"""

from __future__ import annotations

import asyncio
import copy
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import yaml

from analysis.kube import JSON_PATCH, MERGE_PATCH, ApiServer, ApiServerError
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actions import Action, Effect
from crds.v1alpha1.digest import action_id
from crds.v1alpha1.patches import Body, pause_patch, restart_patch, rollback_patch, scale_patch

__all__ = ["Change", "Previewer", "difference", "reach"]

MAX_LINES = 300
MAX_LINE_CHARS = 400
_NOISE = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""The whole object once more, in one line."""


@dataclass(frozen=True, slots=True)
class Change:
    """One action: how far it reaches, and its difference as lines of a unified diff (``+``, ``-``, ``@`` or space)."""

    action: str
    reach: str = ""
    lines: tuple[tuple[str, str], ...] = ()
    asked: bool = False
    """The API server made the difference, in a dry run; else this server computed it."""
    note: str = ""
    """Why there is no difference, or none by a dry run."""


class Previewer:
    """Asks the API server what the actions of a plan would do, with the person's token."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api

    async def changes(self, token: str, plan: ActionPlan, now: datetime | None = None) -> tuple[Change, ...]:
        """One Change for each action, in order. What cannot be read becomes a note."""
        at = now or datetime.now(tz=UTC)
        namespace = plan.metadata.namespace
        return tuple(
            await asyncio.gather(
                *(
                    self._change(token, namespace, action, action_id(plan.metadata.uid, action), at)
                    for action in plan.spec.actions
                )
            )
        )

    async def _change(self, token: str, namespace: str, action: Action, identity: str, at: datetime) -> Change:
        words, path = action.describe(), _path(namespace, action.target.kind, action.target.name)
        try:
            live = await self._api.request("GET", path, token=token)
            patch = await self._patch(token, namespace, action, identity, at)
        except ApiServerError as error:
            return Change(words, note=f"The difference cannot be shown: {error}")
        if live["metadata"].get("uid") != action.target.uid:
            return Change(
                words, note=f"{action.target.short()} was deleted and created anew since; the plan cannot run."
            )
        extent = reach(action, live)
        if patch is None:
            return Change(words, extent, note="No field of the object changes.")
        try:
            content = JSON_PATCH if isinstance(patch, list) else MERGE_PATCH
            tried = await self._api.request("PATCH", f"{path}?dryRun=All", token=token, body=patch, content=content)
        except ApiServerError as error:
            if error.status == 403:
                note = f"Computed here, not by a dry run: {error}"
                return Change(words, extent, difference(live, _applied(live, patch)), note=note)
            return Change(words, extent, note=f"The API server would refuse this change: {error}")
        return Change(words, extent, difference(live, tried), asked=True)

    async def _patch(
        self, token: str, namespace: str, action: Action, identity: str, at: datetime
    ) -> Body | list[Body] | None:
        """What the executor will send; None for an action that changes no field. Raises ApiServerError."""
        match action.effect:
            case Effect.RESTART:
                return restart_patch(identity, at)
            case Effect.SCALE:
                return scale_patch(action, identity)
            case Effect.PAUSE:
                return pause_patch(identity)
            case Effect.ROLLBACK if action.rollback is not None:
                path = _path(namespace, "ReplicaSet", action.rollback.replica_set)
                return rollback_patch(identity, await self._api.request("GET", path, token=token))
            case _:
                return None


def reach(action: Action, live: Mapping[str, Any]) -> str:
    """How many pods the action touches, from the live object."""
    spec, status = live.get("spec") or {}, live.get("status") or {}
    pods = int(status.get("desiredNumberScheduled") or spec.get("replicas") or 1)
    ready = int(status.get("numberReady") or status.get("readyReplicas") or 0)
    match action.effect:
        case Effect.RESTART | Effect.ROLLBACK:
            return f"replaces {pods} {_pods(pods)}, {ready} ready now{_strategy(spec)}"
        case Effect.SCALE if action.scale is not None:
            wanted = action.scale.replicas
            return f"from {pods} to {wanted} {_pods(wanted)}, {ready} ready now"
        case Effect.DELETE_POD:
            return "1 pod ends; its controller makes another"
        case Effect.PAUSE:
            return "no pod changes; the rollout stands still until a person resumes it"
        case Effect.RUN_JOB if action.job is not None:
            return (
                f"no pod changes; a Job from template {action.job.template} reads {action.job.claim}, mounted read-only"
            )
        case _:
            return ""


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """A unified diff of two objects as YAML, without what the API server counts by itself; bounded."""
    lines = list(difflib.unified_diff(_text(before), _text(after), n=3, lineterm=""))[2:]
    shown = [("@", "…") if line.startswith("@@") else (line[:1], line[1 : MAX_LINE_CHARS + 1]) for line in lines]
    rest = len(shown) - MAX_LINES
    return (*shown[:MAX_LINES], *((("@", f"… {rest} more lines"),) if rest > 0 else ()))


def _text(body: Mapping[str, Any]) -> list[str]:
    metadata = {key: value for key, value in body["metadata"].items() if key not in _NOISE}
    annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != _APPLIED}
    shown = {"metadata": {**metadata, "annotations": annotations}, "spec": body.get("spec") or {}}
    return yaml.safe_dump(shown, sort_keys=True, width=10_000, allow_unicode=True).splitlines()


def _applied(live: Mapping[str, Any], patch: Body | list[Body]) -> dict[str, Any]:
    """The patch over the live object: RFC 7386 for a merge patch, and the two operations of RFC 6902 that we send."""
    result: dict[str, Any] = copy.deepcopy(dict(live))
    if isinstance(patch, dict):
        _merge(result, patch)
        return result
    for operation in patch:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        place = result
        for part in parents:
            place = place.setdefault(part, {})
        place[last] = operation["value"]
    return result


def _merge(into: dict[str, Any], patch: Mapping[str, Any]) -> None:
    for key, value in patch.items():
        if isinstance(value, Mapping):
            if not isinstance(into.get(key), dict):
                into[key] = {}
            _merge(into[key], value)
        else:
            into[key] = value


def _path(namespace: str, kind: str, name: str) -> str:
    group = "/api/v1" if kind == "Pod" else "/apis/apps/v1"
    return f"{group}/namespaces/{quote(namespace, safe='')}/{kind.lower()}s/{quote(name, safe='')}"


def _pods(count: int) -> str:
    return "pod" if count == 1 else "pods"


def _strategy(spec: Mapping[str, Any]) -> str:
    strategy = spec.get("strategy") or spec.get("updateStrategy") or {}
    rolling = strategy.get("rollingUpdate") or {}
    if not strategy.get("type"):
        return ""
    most = f", at most {rolling['maxUnavailable']} unavailable" if "maxUnavailable" in rolling else ""
    return f" ({strategy['type']}{most})"

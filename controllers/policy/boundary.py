"""What a rollback would leave on the other side: things that changed since the revision that it goes back to. Pure.

A Deployment's revisions keep its pod template and nothing else. Old code may not fit a migrated schema, a changed
configuration or another volume. Nothing here can prove that a rollback is safe; what is found makes a person decide.
Secrets are held against each other by name only: no identity of the platform may read one (S6).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from crds.v1alpha1 import rollout
from crds.v1alpha1.digest import JsonObject

RELEASE_LABELS = ("app.kubernetes.io/instance", "app.kubernetes.io/part-of")
RELEASE_ANNOTATIONS = ("meta.helm.sh/release-name", "argocd.argoproj.io/tracking-id")
HOOKS = ("helm.sh/hook", "argocd.argoproj.io/hook")
MAX_SHOWN = 4
_MIGRATION = re.compile(r"migrat|schema|upgrade|flyway|liquibase|alembic", re.IGNORECASE)


@dataclass(frozen=True)
class Around:
    """What was read; a name that is not in ``configs`` or ``claims`` does not exist."""

    replica_sets: Sequence[JsonObject] = ()
    """Of the Deployment."""
    jobs: Sequence[JsonObject] = ()
    configs: Mapping[str, JsonObject] | None = None
    """ConfigMaps that either template names, by name; None: they could not be read."""
    claims: Mapping[str, JsonObject] | None = None
    """PersistentVolumeClaims, likewise."""
    definitions: Sequence[JsonObject] = ()
    """CustomResourceDefinitions."""
    unread: tuple[str, ...] = ()
    """Kinds that could not be read, with the reason."""


@dataclass(frozen=True)
class Crossing:
    """``changed``: in words, each a reason to ask. ``missing``: what the old revision needs and is not there."""

    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def message(self) -> str:
        """The first few, in one line."""
        more = len(self.changed) - MAX_SHOWN
        return "; ".join(self.changed[:MAX_SHOWN]) + (f"; and {more} more" if more > 0 else "")


@dataclass(frozen=True)
class References:
    """Names that a pod template uses, with whether it can start without them."""

    configs: Mapping[str, bool]
    secrets: Mapping[str, bool]
    claims: Mapping[str, bool]


def crossing(deployment: JsonObject, replica_set: JsonObject, around: Around) -> Crossing:
    """What changed between a revision and now."""
    since = boundary(replica_set, around.replica_sets)
    old, new = references(replica_set["spec"]["template"]), references(deployment["spec"]["template"])
    changed = [
        *_named_once(old, new),
        *_changed("ConfigMap", old.configs, around.configs, since),
        *_changed("PersistentVolumeClaim", old.claims, around.claims, since),
        *(f"Job {_name(job)} ran since" for job in around.jobs if _migrates(job, deployment, since)),
        *(
            f"CustomResourceDefinition {_name(one)} changed since"
            for one in around.definitions
            if _moved(one, deployment, since)
        ),
        *(f"{what}, so changes of it are not known" for what in around.unread),
    ]
    missing = [
        *_missing("ConfigMap", old.configs, around.configs),
        *_missing("PersistentVolumeClaim", old.claims, around.claims),
    ]
    return Crossing(tuple(changed), tuple(missing))


def boundary(replica_set: JsonObject, all_sets: Iterable[JsonObject]) -> datetime:
    """When the revision gave way to a newer one. A newer one that was older and taken up again does not tell: then the
    revision's own birth counts, which finds too much rather than too little."""
    born, number = _born(replica_set), rollout.revision(replica_set)
    followers = [_born(body) for body in all_sets if rollout.revision(body) > number]
    return max(born, min(followers, default=born))


def references(template: JsonObject) -> References:
    """Names of ConfigMaps, Secrets and claims that a pod template uses; True: needed for a start."""
    spec = template["spec"]
    configs: dict[str, bool] = {}
    secrets: dict[str, bool] = {}
    claims: dict[str, bool] = {}
    for volume in spec.get("volumes") or ():
        _volume(volume, configs, secrets, claims)
        for source in (volume.get("projected") or {}).get("sources") or ():
            _volume(source, configs, secrets, claims)
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        for source in container.get("envFrom") or ():
            _note(configs, source.get("configMapRef"))
            _note(secrets, source.get("secretRef"))
        for variable in container.get("env") or ():
            source = variable.get("valueFrom") or {}
            _note(configs, source.get("configMapKeyRef"))
            _note(secrets, source.get("secretKeyRef"))
    for pull in spec.get("imagePullSecrets") or ():
        _note(secrets, {**pull, "optional": True})
    return References(configs, secrets, claims)


def _volume(volume: JsonObject, configs: dict[str, bool], secrets: dict[str, bool], claims: dict[str, bool]) -> None:
    _note(configs, volume.get("configMap"))
    secret = volume.get("secret")
    # A projected source calls it ``name``, a volume of its own ``secretName``.
    _note(secrets, {**secret, "name": secret.get("secretName") or secret.get("name")} if secret else None)
    claim = volume.get("persistentVolumeClaim")
    _note(claims, {"name": claim.get("claimName")} if claim else None)


def _note(found: dict[str, bool], reference: Any) -> None:
    if reference and reference.get("name"):
        found[reference["name"]] = found.get(reference["name"], False) or not reference.get("optional", False)


def _named_once(old: References, new: References) -> Iterator[str]:
    for kind, one, other in (
        ("ConfigMap", old.configs, new.configs),
        ("Secret", old.secrets, new.secrets),
        ("PersistentVolumeClaim", old.claims, new.claims),
    ):
        for name in sorted(set(one) ^ set(other)):
            side = "the earlier" if name in one else "the present"
            yield f"{kind} {name} is used by {side} revision only"


def _changed(
    kind: str, names: Mapping[str, bool], found: Mapping[str, JsonObject] | None, since: datetime
) -> Iterator[str]:
    for name in sorted(names):
        at = _touched((found or {}).get(name), since)
        if at is not None:
            yield f"{kind} {name} changed at {at:%Y-%m-%d %H:%M:%SZ}"


def _missing(kind: str, names: Mapping[str, bool], found: Mapping[str, JsonObject] | None) -> Iterator[str]:
    if found is not None:
        yield from (f"{kind} {name}" for name, needed in sorted(names.items()) if needed and name not in found)


def _touched(body: JsonObject | None, since: datetime) -> datetime | None:
    """When it was last written after ``since``; a controller's writes to its status do not count."""
    if body is None:
        return None
    metadata = body["metadata"]
    entries = [one for one in metadata.get("managedFields") or () if one.get("subresource") != "status"]
    times = [_time(metadata.get("creationTimestamp")), *(_time(entry.get("time")) for entry in entries)]
    return max((at for at in times if at is not None and at > since), default=None)


def _migrates(job: JsonObject, deployment: JsonObject, since: datetime) -> bool:
    """A Job that was made since and looks like part of the newer version: a hook, the same release, a telling name."""
    metadata = job["metadata"]
    born = _time(metadata.get("creationTimestamp"))
    if born is None or born <= since or "iirp.io/action-id" in (metadata.get("annotations") or {}):
        return False
    hook = any(key in (metadata.get("annotations") or {}) for key in HOOKS)
    return hook or bool(_MIGRATION.search(metadata["name"])) or _same_release(metadata, deployment["metadata"])


def _moved(definition: JsonObject, deployment: JsonObject, since: datetime) -> bool:
    return _same_release(definition["metadata"], deployment["metadata"]) and _touched(definition, since) is not None


def _same_release(one: JsonObject, other: JsonObject) -> bool:
    for field, keys in (("labels", RELEASE_LABELS), ("annotations", RELEASE_ANNOTATIONS)):
        mine, theirs = one.get(field) or {}, other.get(field) or {}
        # Argo CD's tracking-id is application:group/kind:namespace/name; the application is what is shared.
        if any(key in mine and mine[key].split(":")[0] == theirs.get(key, "").split(":")[0] for key in keys):
            return True
    return False


def _born(body: JsonObject) -> datetime:
    born = _time(body["metadata"].get("creationTimestamp"))
    if born is None:
        raise ValueError(f"{_name(body)} has no creationTimestamp")
    return born


def _name(body: JsonObject) -> str:
    return str(body["metadata"]["name"])


def _time(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) and text else None

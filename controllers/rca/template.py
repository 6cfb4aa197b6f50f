"""What changed between two pod templates, in words. Pure.

Values of environment variables are shown only if they are plain, short and do not look secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Template = Mapping[str, Any]

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
ACTION_ID = "iirp.io/action-id"
MAX_VALUE = 32
SECRET_NAME = re.compile(
    r"secret|token|passw|pwd|credential|private|auth|dsn|salt|cert|session|cookie|signature|(^|_)(key|pass|pin|url|uri)s?($|_)",
    re.IGNORECASE,
)
PLAIN_VALUE = re.compile(r"[A-Za-z0-9 ._/:,=+%-]*")
LONG_RUN = re.compile(r"[A-Za-z0-9+/=_-]{21,}")
"""Twenty-one characters without a break look like a key."""
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
OTHER_CONTAINER_FIELDS = {"ports": "ports", "volumeMounts": "volume mounts", "securityContext": "security context"}
OTHER_POD_FIELDS = {
    "volumes": "volumes",
    "nodeSelector": "node selector",
    "affinity": "affinity",
    "tolerations": "tolerations",
    "serviceAccountName": "service account",
    "securityContext": "pod security context",
    "terminationGracePeriodSeconds": "termination grace period",
    "priorityClassName": "priority class",
    "hostNetwork": "host network",
    "dnsPolicy": "DNS policy",
}


def template_changes(old: Template, new: Template) -> list[str]:
    """Differences in the order in which a person would ask: images, environment, resources, commands, the rest."""
    return [*_restarts(old, new), *_containers(old, new), *_pod(old, new)]


def _restarts(old: Template, new: Template) -> Iterator[str]:
    before, after = _annotations(old), _annotations(new)
    action = after.get(ACTION_ID, "")
    if action and action != before.get(ACTION_ID):
        yield f"restarted by action {action}"
    elif after.get(RESTARTED_AT) != before.get(RESTARTED_AT):
        yield "restarted"
    ours = {ACTION_ID, RESTARTED_AT}
    names = sorted(name for name in {*before, *after} - ours if before.get(name) != after.get(name))
    if names:
        yield f"annotations {', '.join(names)} changed"


def _containers(old: Template, new: Template) -> Iterator[str]:
    for field in ("initContainers", "containers"):
        before, after = _by_name(old, field), _by_name(new, field)
        alone = len(after) == 1 and before.keys() == after.keys()
        for name in after:
            prefix = "" if alone else f"{name}: "
            if name not in before:
                yield f"container {name} added ({after[name].get('image', '')})"
            else:
                yield from (f"{prefix}{text}" for text in _container(before[name], after[name]))
        yield from (f"container {name} removed" for name in before if name not in after)


def _container(old: Template, new: Template) -> Iterator[str]:
    if old.get("image") != new.get("image"):
        yield f"image {_images(old.get('image', ''), new.get('image', ''))}"
    yield from _environment(old, new)
    yield from _resources(old, new)
    for field in ("command", "args"):
        if old.get(field) != new.get(field):
            yield f"{field} changed"
    for probe in PROBES:
        if old.get(probe) != new.get(probe):
            verb = "added" if not old.get(probe) else "removed" if not new.get(probe) else "changed"
            yield f"{probe} {verb}"
    yield from (
        f"{words} changed" for field, words in OTHER_CONTAINER_FIELDS.items() if old.get(field) != new.get(field)
    )


def _images(old: str, new: str) -> str:
    old_name, _, old_tag = old.rpartition(":")
    new_name, _, new_tag = new.rpartition(":")
    if old_name == new_name and old_tag and new_tag and "/" not in old_tag + new_tag:
        return f"{old_tag} -> {new_tag}"
    return f"{old} -> {new}"


def _environment(old: Template, new: Template) -> Iterator[str]:
    before, after = _env(old), _env(new)
    for name in after:
        if name not in before:
            yield f"env {name} added{_shown(after[name], ' ({})')}"
        elif before[name] != after[name]:
            was, now = _shown(before[name], "{}"), _shown(after[name], "{}")
            yield f"env {name} {was} -> {now}" if was and now else f"env {name} changed"
    yield from (f"env {name} removed" for name in before if name not in after)
    if old.get("envFrom") != new.get("envFrom"):
        yield "envFrom changed"


def _shown(entry: Mapping[str, Any], form: str) -> str:
    """The value in ``form`` if it may be shown, else nothing."""
    value = str(entry.get("value") or "")
    if "valueFrom" in entry or not value or len(value) > MAX_VALUE or SECRET_NAME.search(str(entry.get("name", ""))):
        return ""
    return form.format(value) if PLAIN_VALUE.fullmatch(value) and not LONG_RUN.search(value) else ""


def _resources(old: Template, new: Template) -> Iterator[str]:
    for kind in ("limits", "requests"):
        before = (old.get("resources") or {}).get(kind) or {}
        after = (new.get("resources") or {}).get(kind) or {}
        for name in sorted({*before, *after}):
            if before.get(name) != after.get(name):
                yield f"{name} {kind[:-1]} {before.get(name, 'none')} -> {after.get(name, 'none')}"


def _pod(old: Template, new: Template) -> Iterator[str]:
    before, after = old.get("spec") or {}, new.get("spec") or {}
    for field, words in OTHER_POD_FIELDS.items():
        if before.get(field) != after.get(field):
            yield f"{words} changed"


def _annotations(template: Template) -> Mapping[str, str]:
    return (template.get("metadata") or {}).get("annotations") or {}


def _by_name(template: Template, field: str) -> dict[str, Template]:
    return {item["name"]: item for item in (template.get("spec") or {}).get(field) or ()}


def _env(container: Template) -> dict[str, Mapping[str, Any]]:
    return {item["name"]: item for item in container.get("env") or ()}

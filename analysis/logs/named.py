"""What a message names: the ConfigMap that is missing, the quota that is used up, the host that does not answer. Pure.

Only what stands outside the one who says it: two workloads that cannot mount a ``volume "data"`` each mean their own,
and "Back-off restarting failed container" names nothing. A webhook that cannot be called is one thing; one that denies
has its reason with each that it denies. What is named is compared, not the whole text: whether the kubelet or a
controller complains of a missing ConfigMap, it is the same ConfigMap.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_TEXT = 2000
"""Characters that are looked at. Messages are hostile: they may be long, and say anything."""
_KINDS = (
    "configmap|secret|persistentvolumeclaim|serviceaccount|runtimeclass|priorityclass|storageclass"
    "|image|quota|host|failed calling webhook"
)
_HOST = r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?)"
_PATTERNS = (
    re.compile(
        rf"\b(?P<kind>{_KINDS})(?:s|es| name)?(?:\.[a-z0-9.]{{1,60}})?[ :=]{{1,2}}"
        r"[\"'](?P<name>[^\"'\s]{1,253})[\"']",
        re.IGNORECASE,
    ),
    re.compile(r"\bin (?P<kind>ConfigMap|Secret) [\w.-]{1,63}/(?P<name>[\w.-]{1,253})"),
    re.compile(r"\bexceeded (?P<kind>quota): (?P<name>[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)"),
    re.compile(rf"\b(?:lookup|getaddrinfo (?:ENOTFOUND|EAI_AGAIN)) {_HOST}"),
    re.compile(rf"\b(?:dial (?:tcp|udp)|connect(?:ion)? to|ECONNREFUSED) {_HOST}:\d{{1,5}}\b"),
)
_OWN = re.compile(r"localhost$|127\.|0\.0\.0\.0$", re.IGNORECASE)


def named(text: str, namespace: str) -> frozenset[str]:
    """``configmap "app-config"``, ``quota "compute"``, ``host "db"``: what a message of ``namespace`` is about.

    What is found reads as such a message itself: it names the same things.
    """
    return frozenset(_named(text[:MAX_TEXT], namespace))


def host_of(thing: str) -> str:
    """The host among what was :func:`named`; empty for anything else."""
    return thing.removeprefix('host "').removesuffix('"') if thing.startswith("host ") else ""


def _named(text: str, namespace: str) -> Iterator[str]:
    for pattern in _PATTERNS:
        for found in pattern.finditer(text):
            kind, name = found.groupdict().get("kind", "host").lower(), found["name"]
            if kind != "host":
                yield f'{kind} "{name}"'
            elif not _OWN.match(name):
                yield f'host "{_short(name.lower(), namespace)}"'


def _short(host: str, namespace: str) -> str:
    """A Service of the cluster under the shortest of its names: ``db``, or ``db.other`` for another namespace's."""
    name, *rest = host.split(".")
    if rest[1:2] == ["svc"]:
        rest = rest[:1]
    return name if rest == [namespace] else ".".join([name, *rest])

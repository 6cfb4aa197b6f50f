"""Who set a field last, from ``metadata.managedFields`` and the last applied configuration. Pure.

An Update that changes a field takes it away from whoever applied it, so "the applier does not hold it now" does not
mean that Git does not declare it: while somebody else holds the field, that stays open.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

from controllers.arbitration.fields import Field
from controllers.arbitration.model import Body

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def managers(live: Body) -> set[str]:
    """Names of all field managers of the object itself (its status is another matter)."""
    return {str(entry.get("manager", "")) for entry in _entries(live)}


def holders(live: Body, field: Field) -> set[str]:
    """Field managers that hold the field, or something below it."""
    return {str(entry.get("manager", "")) for entry in _entries(live) if _holds(entry, field)}


def declares(live: Body, field: Field, names: Collection[str], *, client_side: bool = False) -> bool | None:
    """Whether the source behind the field managers ``names`` sets the field; None when that cannot be told.

    Args:
        client_side: they may also apply from the client, which leaves the manifest in an annotation.
    """
    entries = [entry for entry in _entries(live) if entry.get("manager") in names]
    applies = any(entry.get("operation") == "Apply" for entry in entries)
    applied = _last_applied(live) if client_side and not applies else None
    if any(_holds(entry, field) for entry in entries) or (applied is not None and _has(applied, field.path)):
        return True
    if applied is None and holders(live, field) - set(names):
        return None
    return False if applied is not None or applies else None


def _entries(live: Body) -> Iterator[Body]:
    for entry in live["metadata"].get("managedFields") or ():
        if entry.get("subresource") != "status" and isinstance(entry.get("fieldsV1"), dict):
            yield entry


def _holds(entry: Body, field: Field) -> bool:
    node: Any = entry["fieldsV1"]
    for part in field.path:
        node = node.get(f"f:{part}") if isinstance(node, dict) else None
        if node is None:
            return False
    return True


def _last_applied(live: Body) -> Any:
    """The manifest of the last client-side apply; None when there is none, or it is not JSON."""
    text = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    if not text:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _has(manifest: Any, path: tuple[str, ...]) -> bool:
    for part in path:
        if not isinstance(manifest, dict) or part not in manifest:
            return False
        manifest = manifest[part]
    return True

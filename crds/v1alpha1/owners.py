"""Who owns an object, by its ownerReferences. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def owned_by(body: Mapping[str, Any], uid: str) -> bool:
    """Whether an object, as served, names this one as its controller."""
    return any(o.get("uid") == uid and o.get("controller") for o in body["metadata"].get("ownerReferences") or ())

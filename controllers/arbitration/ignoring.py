"""Rules by which GitOps tools leave a field alone: selectors and paths. Pure.

A rule that is not understood here does not count, which is the stricter reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from controllers.arbitration.fields import Field
from controllers.arbitration.model import Body, Subject


def covers(pointers: Iterable[Any], field: Field) -> bool:
    """Whether one of the JSON pointers names the field or something above it."""
    return any(
        pointer == field.pointer or field.pointer.startswith(f"{pointer}/")
        for pointer in pointers
        if isinstance(pointer, str) and pointer.startswith("/")
    )


def covers_jq(expressions: Iterable[Any], field: Field) -> bool:
    """Whether one of the jq paths does; only plain ones such as ``.spec.replicas`` are understood."""
    plain = (str(text) for text in expressions)
    return covers((text.replace(".", "/") for text in plain if re.fullmatch(r"(\.[A-Za-z]+)+", text)), field)


def argocd_rule_matches(rule: Body, subject: Subject) -> bool:
    """``spec.ignoreDifferences[]`` of an Application: exact values or ``*``; name and namespace may be left out."""
    group, kind = rule.get("group") or "", rule.get("kind") or ""
    namespace, name = rule.get("namespace") or "*", rule.get("name") or "*"
    wanted = (subject.group, subject.action.target.kind, subject.namespace, subject.name)
    return all(said in ("*", is_) for said, is_ in zip((group, kind, namespace, name), wanted, strict=True))


def flux_target_matches(target: Body | None, subject: Subject) -> bool:
    """A Flux (kustomize) selector: anchored regular expressions. One with label or annotation selectors is not
    understood and does not match."""
    if not target:
        return True
    if target.get("labelSelector") or target.get("annotationSelector"):
        return False
    version = subject.action.target.api_version.rsplit("/", 1)[-1]
    values = {
        "group": subject.group, "version": version, "kind": subject.action.target.kind, "namespace": subject.namespace,
        "name": subject.name,
    }  # fmt: skip
    return all(_full(target.get(key), value) for key, value in values.items())


def _full(pattern: Any, value: str) -> bool:
    """A user's pattern is only ever tried on a short name. Patterns that could take long are not understood."""
    if not pattern:
        return True
    text = str(pattern).removeprefix("^").removesuffix("$")
    if not re.fullmatch(r"[A-Za-z0-9_\-]*(\.\*)?[A-Za-z0-9_\-]*", text):
        return False
    return re.fullmatch(text, value) is not None

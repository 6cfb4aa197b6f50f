"""docs/reference/api.md: every field of every kind, from the same schema that the API server has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from crds import API_VERSION
from crds.definition import object_schema
from crds.schema import Schema
from crds.v1alpha1.base import Definition, Resource

_HEAD = f"""\
<!-- Generated from crds/v1alpha1 by `python -m crds.generate`; do not edit. -->
# API reference: {API_VERSION}

`kubectl explain KIND.FIELD` shows the same. `*` marks required fields. Lists and strings have the maxima given, so that
no object exceeds 100 kB. Times are RFC 3339 in UTC. There are no floats: measured values are decimal strings with a
unit.
"""


def api_reference(kinds: Sequence[type[Resource]]) -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(line for kind in kinds for line in _kind(kind))]).rstrip() + "\n"


def _kind(kind: type[Resource]) -> Iterable[str]:
    definition, schema = kind.definition, object_schema(kind)
    yield f"## {definition.kind}\n"
    yield schema["description"] + "\n"
    category = ", category `iirp`" if definition.namespaced else ""
    yield f"{_scope(definition)}, plural `{definition.plural}`, short `{definition.short}`{category}.\n"
    if definition.selectable:
        yield "Field selectors: " + ", ".join(f"`{path[1:]}`" for path in definition.selectable) + ".\n"
    for part in ("spec", "status"):
        section = schema["properties"][part]
        yield f"### {definition.kind}.{part}\n"
        yield section["description"] + "\n"
        yield "| field | type | what it is |"
        yield "| --- | --- | --- |"
        yield from _rows(section, "")
        yield from _rules(section)
        yield ""


def _scope(definition: Definition) -> str:
    return "Namespaced" if definition.namespaced else "Cluster-scoped"


def _rows(schema: Schema, prefix: str) -> Iterable[str]:
    required = set(schema.get("required", []))
    for name, field in schema.get("properties", {}).items():
        path = prefix + name
        yield f"| `{path}`{'*' if name in required else ''} | {_type(field)} | {_text(field)} |"
        inner, suffix = (field["items"], "[].") if field["type"] == "array" else (field, ".")
        if inner["type"] == "object":
            yield from _rows(inner, path + suffix)


def _rules(schema: Schema) -> Iterable[str]:
    messages = [rule["message"] for rule in _all_rules(schema)]
    if messages:
        yield "\nRules:\n"
        yield from (f"- {message}" for message in dict.fromkeys(messages))


def _all_rules(schema: Schema) -> Iterable[dict[str, Any]]:
    yield from schema.get("x-kubernetes-validations", [])
    for field in schema.get("properties", {}).values():
        yield from _all_rules(field)
    if "items" in schema:
        yield from _all_rules(schema["items"])


def _type(field: Schema) -> str:
    if field["type"] == "array":
        return f"list of {_type(field['items'])}, at most {field['maxItems']}"
    if "enum" in field:
        return "one of " + ", ".join(f"`{value}`" for value in field["enum"])
    if field.get("format") == "date-time":
        return "time"
    text = str(field["type"])
    if "maxLength" in field:
        text += f", at most {field['maxLength']} characters"
    if "minimum" in field or "maximum" in field:
        text += f" {field.get('minimum', '')}..{field.get('maximum', '')}"
    return text


def _text(field: Schema) -> str:
    parts = [str(field.get("description", "")).replace("|", "\\|")]
    if field.get("default") not in (None, {}):
        parts.append(f"Default `{field['default']}`.")
    return " ".join(part for part in parts if part)

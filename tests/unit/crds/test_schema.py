"""The generated schemas: structural, bounded, documented, and small enough in the worst case."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import Field

from crds.definition import custom_resource_definition, object_schema
from crds.schema import Schema, UnsupportedSchemaError, structural
from crds.v1alpha1 import KINDS, Incident
from crds.v1alpha1.actionpolicy import ActionPolicy
from crds.v1alpha1.base import ApiModel, Line, Resource

ALL = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def walk(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every node below ``spec`` and ``status`` with its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}")
    if "items" in schema:
        yield from walk(schema["items"], f"{path}[]")


def parts(kind: type[Resource]) -> Iterator[tuple[str, Schema]]:
    """Nodes of spec and status; metadata is Kubernetes' own."""
    properties = object_schema(kind)["properties"]
    for part in ("spec", "status"):
        yield from walk(properties[part], part)


def worst_case(schema: Schema) -> Any:
    """The longest value that the schema lets through (one byte per character)."""
    match schema["type"]:
        case "object":
            return {name: worst_case(child) for name, child in schema["properties"].items()}
        case "array":
            return [worst_case(schema["items"])] * schema["maxItems"]
        case "integer":
            return schema.get("maximum", 2**31)
        case "boolean":
            return False
    if "enum" in schema:
        return max(schema["enum"], key=len)
    if schema.get("format") == "date-time":
        return "2026-01-01T00:00:00Z"
    return "x" * schema.get("maxLength", 71)


@ALL
def test_every_object_stays_below_100_kb_in_the_worst_case(kind: type[Resource]) -> None:
    properties = object_schema(kind)["properties"]
    body = {part: worst_case(properties[part]) for part in ("spec", "status")}
    size = len(json.dumps(body, separators=(",", ":")))
    assert size < 98_000, f"{kind.__name__}: {size} bytes, and metadata needs some too"


@ALL
def test_every_field_says_what_it_is(kind: type[Resource]) -> None:
    silent = [path for path, node in parts(kind) if not path.endswith("[]") and not node.get("description")]
    assert silent == []


@ALL
def test_schemas_are_structural(kind: type[Resource]) -> None:
    forbidden = {"$ref", "anyOf", "oneOf", "title", "x-kubernetes-preserve-unknown-fields", "additionalProperties"}
    for path, node in parts(kind):
        assert not forbidden & set(node), path
        assert "type" in node, path
        if node["type"] == "array":
            assert node["maxItems"] <= 64, path
            assert node["x-kubernetes-list-type"] in ("atomic", "map"), path
        if node["type"] == "integer":
            assert node["format"] == "int64", path


@ALL
def test_conditions_are_a_map_by_type(kind: type[Resource]) -> None:
    found = {path: node for path, node in parts(kind) if path.endswith("status.conditions")}
    assert found
    for node in found.values():
        assert node["x-kubernetes-list-type"] == "map"
        assert node["x-kubernetes-list-map-keys"] == ["type"]


@ALL
def test_columns_and_selectors_point_at_fields_that_exist(kind: type[Resource]) -> None:
    known = {path for path, _ in parts(kind)} | {"metadata.creationTimestamp", "metadata.namespace"}
    definition = kind.definition
    for path in (*(column.path for column in definition.columns), *definition.selectable):
        assert path.removeprefix(".").replace("[0]", "[]") in known, path


def test_definition_of_the_incident() -> None:
    body = custom_resource_definition(Incident)
    assert body["metadata"]["name"] == "incidents.iirp.io"
    assert body["spec"]["names"]["shortNames"] == ["inc"]
    assert body["spec"]["names"]["categories"] == ["iirp"]
    version = body["spec"]["versions"][0]
    assert version["subresources"] == {"status": {}}
    assert {"jsonPath": ".status.state"} in version["selectableFields"]
    rules = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-validations"]
    assert {"rule": "self.type == oldSelf.type", "message": RULE} in rules


RULE = "spec.type is immutable; people change spec.override only"


def test_policies_are_not_part_of_a_namespaces_story() -> None:
    categories = {kind.__name__: custom_resource_definition(kind)["spec"]["names"].get("categories") for kind in KINDS}
    assert categories.pop("ActionPolicy") is None
    assert set(map(tuple, filter(None, categories.values()))) == {("iirp",)}
    assert None not in categories.values()


class Unbounded(ApiModel):
    """A string without maximum."""

    text: str


class Free(ApiModel):
    """A free-form object."""

    values: dict[str, str]


class Endless(ApiModel):
    """A list without maximum."""

    lines: list[Line]


class Either(ApiModel):
    """A union."""

    value: Annotated[str, Field(max_length=3)] | int


class Share(ApiModel):
    """A float."""

    share: float


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Unbounded, "Unbounded.text: every string needs a maximum length"),
        (Free, "Free.values: an object needs named properties"),
        (Endless, "Endless.lines: every list needs a maximum length"),
        (Either, "Either.value: unions are not structural"),
        (Share, "Share.share: type 'number' cannot be part of a structural schema"),
    ],
)
def test_what_the_api_cannot_say_is_refused_by_name(model: type[ApiModel], message: str) -> None:
    with pytest.raises(UnsupportedSchemaError, match=message):
        structural(model)


class Optional(ApiModel):
    """Optional parts."""

    limit: int | None = Field(default=None, ge=1)
    """A bound."""
    mode: Line = "fast"
    """How."""
    empty: Line = ""
    """Nothing."""


def test_optional_fields_may_be_absent_and_defaults_are_kept_where_they_say_something() -> None:
    schema = structural(Optional)
    assert "required" not in schema
    assert schema["properties"]["limit"] == {
        "description": "A bound.",
        "type": "integer",
        "format": "int64",
        "minimum": 1,
    }
    assert schema["properties"]["mode"]["default"] == "fast"
    assert "default" not in schema["properties"]["empty"]


def test_only_conditions_with_a_type_are_a_map() -> None:
    """A list map needs its key among the properties, or the API server refuses the whole definition."""
    spec = object_schema(ActionPolicy)["properties"]["spec"]["properties"]
    expressions = spec["rules"]["items"]["properties"]["match"]["properties"]["conditions"]
    assert expressions["x-kubernetes-list-type"] == "atomic"
    status = object_schema(ActionPolicy)["properties"]["status"]["properties"]
    assert status["conditions"]["x-kubernetes-list-map-keys"] == ["type"]

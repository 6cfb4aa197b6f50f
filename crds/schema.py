"""From a pydantic model to the structural OpenAPI v3 schema that a CustomResourceDefinition wants.

Kubernetes accepts a subset of JSON Schema: no ``$ref``, no ``title``, one ``type`` everywhere, no unions with null.
What pydantic leaves out is added here: int64 formats, list types, and the CEL rules of each class.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from crds.v1alpha1.base import ApiModel

Schema = dict[str, Any]

_KEPT = (
    "description",
    "type",
    "format",
    "enum",
    "default",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "required",
    "x-kubernetes-validations",
)


class UnsupportedSchemaError(TypeError):
    """The model uses something that a structural schema cannot say."""


class _WithRules(GenerateJsonSchema):
    """pydantic's generator, with each class's CEL rules carried along."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """Add ``x-kubernetes-validations`` from ``cel_rules``."""
        rendered = super().model_schema(schema)
        cls = schema["cls"]
        if issubclass(cls, ApiModel) and cls.cel_rules:
            rendered["x-kubernetes-validations"] = [rule(*pair) for pair in cls.cel_rules]
        return rendered

    def generate(self, schema: core_schema.CoreSchema, mode: JsonSchemaMode = "validation") -> JsonSchemaValue:
        """Names of attributes on the wire, never the Python ones."""
        self.by_alias = True
        return super().generate(schema, mode)


def rule(expression: str, message: str) -> Schema:
    """One CEL rule. Rules that mention ``oldSelf`` are transition rules: the API server runs them on updates only."""
    return {"rule": expression, "message": message}


def structural(model: type[BaseModel]) -> Schema:
    """The model as a structural schema.

    Raises:
        UnsupportedSchemaError: a union, a free-form object or an unbounded list or string was used.
    """
    raw = model.model_json_schema(schema_generator=_WithRules)
    return _convert(raw, raw.get("$defs", {}), model.__name__)


def _convert(node: Schema, definitions: Schema, path: str) -> Schema:
    node = _inlined(node, definitions, path)
    result: Schema = {key: node[key] for key in _KEPT if key in node}
    if "description" in result:
        result["description"] = _one_paragraph(result["description"])
    if not _worth_storing(result.get("default")):
        result.pop("default", None)
    match node.get("type"):
        case "object":
            _convert_object(node, result, definitions, path)
        case "array":
            _convert_array(node, result, definitions, path)
        case "integer":
            result["format"] = "int64"
        case "string":
            _require_bound(node, path)
        case "boolean":
            pass
        case other:
            raise UnsupportedSchemaError(f"{path}: type {other!r} cannot be part of a structural schema")
    return {key: result[key] for key in sorted(result, key=_position)}


def _inlined(node: Schema, definitions: Schema, path: str) -> Schema:
    """Resolve ``$ref`` and ``Optional``; what stands beside them (description, default) wins."""
    while True:
        if "$ref" in node:
            target = definitions[node["$ref"].rsplit("/", 1)[1]]
            node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
        elif "anyOf" in node:
            choices = [choice for choice in node["anyOf"] if choice != {"type": "null"}]
            if len(choices) != 1:
                raise UnsupportedSchemaError(f"{path}: unions are not structural")
            node = {**choices[0], **{key: value for key, value in node.items() if key != "anyOf"}}
        else:
            return node


def _convert_object(node: Schema, result: Schema, definitions: Schema, path: str) -> None:
    properties = node.get("properties")
    if not properties:
        raise UnsupportedSchemaError(f"{path}: an object needs named properties")
    result["properties"] = {name: _convert(value, definitions, f"{path}.{name}") for name, value in properties.items()}
    if isinstance(result.get("default"), dict):
        result["default"] = {}  # each property brings its own default


def _convert_array(node: Schema, result: Schema, definitions: Schema, path: str) -> None:
    if "maxItems" not in node:
        raise UnsupportedSchemaError(f"{path}: every list needs a maximum length")
    result["items"] = _convert(node["items"], definitions, f"{path}[]")
    result["items"].pop("default", None)
    # A ``metav1.Condition`` has a type; the conditions of a policy rule are expressions with names.
    if path.endswith(".conditions") and "type" in result["items"].get("properties", {}):
        result["x-kubernetes-list-type"] = "map"
        result["x-kubernetes-list-map-keys"] = ["type"]
    else:
        result["x-kubernetes-list-type"] = "atomic"


def _require_bound(node: Schema, path: str) -> None:
    """Cost estimates of CEL rules, and the size of an object, rest on bounds."""
    fixed = node.get("format") == "date-time" or "enum" in node
    if not fixed and "maxLength" not in node and "pattern" not in node:
        raise UnsupportedSchemaError(f"{path}: every string needs a maximum length")


def _worth_storing(default: Any) -> bool:
    """An empty default says nothing that absence does not; storing it would only make objects longer."""
    return bool(default) and not isinstance(default, list)


def _one_paragraph(text: str) -> str:
    return " ".join(text.replace("``", "").split())


def _position(key: str) -> tuple[int, str]:
    order = (*_KEPT, "properties", "items")
    return (order.index(key) if key in order else len(order), key)

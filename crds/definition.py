"""From a kind (model and :class:`Definition`) to its CustomResourceDefinition, as an object and as YAML."""

from __future__ import annotations

from typing import Any

import yaml

from crds import GROUP, VERSION
from crds.schema import Schema, rule, structural
from crds.v1alpha1.base import ApiModel, Column, Resource

CATEGORY = "iirp"
"""`kubectl get iirp -n shop` is the story of one namespace; cluster-scoped policies would repeat in every one."""
NAME_RULE = (
    "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 63",
    "metadata.name must be an RFC 1123 label: at most 63 lower-case letters, digits and '-'",
)
"""Names of ours end up in label values (``iirp.io/incident``), which hold 63 characters."""


def custom_resource_definition(kind: type[Resource]) -> dict[str, Any]:
    """The whole CustomResourceDefinition of one kind."""
    definition = kind.definition
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{definition.plural}.{GROUP}",
            "labels": {"app.kubernetes.io/part-of": "iirp"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced" if definition.namespaced else "Cluster",
            "names": {
                "kind": definition.kind,
                "listKind": f"{definition.kind}List",
                "plural": definition.plural,
                "singular": definition.kind.lower(),
                "shortNames": [definition.short],
                **({"categories": [CATEGORY]} if definition.namespaced else {}),
            },
            "versions": [_version(kind)],
        },
    }


def _version(kind: type[Resource]) -> dict[str, Any]:
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(column) for column in kind.definition.columns],
    }
    if kind.definition.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in kind.definition.selectable]
    version["schema"] = {"openAPIV3Schema": object_schema(kind)}
    return version


def object_schema(kind: type[Resource]) -> Schema:
    """Schema of the whole object: ``spec`` is required, ``status`` is its subresource."""
    return {
        "description": " ".join((kind.__doc__ or "").replace("``", "").split()),
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": structural(_part(kind, "spec")),
            "status": structural(_part(kind, "status")),
        },
        "x-kubernetes-validations": [rule(*pair) for pair in (NAME_RULE, *kind.definition.rules)],
    }


def _part(kind: type[Resource], name: str) -> type[ApiModel]:
    model = kind.model_fields[name].annotation
    if not (isinstance(model, type) and issubclass(model, ApiModel)):
        raise TypeError(f"{kind.__name__}.{name} must be an ApiModel")
    return model


def _column(column: Column) -> dict[str, Any]:
    rendered: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.path}
    if column.description:
        rendered["description"] = column.description
    if column.wide:
        rendered["priority"] = 1
    return rendered


class _Dumper(yaml.SafeDumper):
    """Block sequences indented below their key, no aliases: what people write by hand."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """Indent sequences too."""
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        """Repeat instead of pointing back."""
        return True


def to_yaml(document: dict[str, Any]) -> str:
    """Stable YAML: key order as built, long lines kept whole."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)

"""Objects for commands that judge the past: from the cluster, or from what `kubectl get ... -o json|yaml` exported."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import yaml
from pydantic import ValidationError

from cli.errors import plain_errors
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.base import Resource
from crds.v1alpha1.incident import Incident

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True)
class Export:
    """What was found; ``namespaces`` are labels by name."""

    plans: list[ActionPlan]
    incidents: list[Incident]
    namespaces: dict[str, dict[str, str]]


def yaml_documents(path: Path) -> list[Any]:
    """Every document of a YAML or JSON file.

    Raises:
        click.ClickException: the file is neither.
    """
    try:
        return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise click.ClickException(f"{path}: {' '.join(str(error).split())}") from error


def documents(path: Path) -> Iterator[dict[str, Any]]:
    """Every Kubernetes object of a file, lists taken apart; empty documents are passed over.

    Raises:
        click.ClickException: it is not YAML, or what is in it is not of the shape that all objects have.
    """
    for document in yaml_documents(path):
        if document is None:
            continue
        kind = str(document.get("kind", "")) if isinstance(document, dict) else ""
        if not kind:
            raise click.ClickException(f"{path}: holds something that is no Kubernetes object: it has no kind")
        items = document.get("items") if kind.endswith("List") else [document]
        if not isinstance(items, list):
            raise click.ClickException(f"{path}: {kind} without items")
        for item in items:
            metadata = item.get("metadata") if isinstance(item, dict) else None
            if not (isinstance(metadata, dict) and isinstance(metadata.get("name"), str)):
                raise click.ClickException(f"{path}: an object of {kind} has no metadata.name")
            yield item


def from_files(paths: tuple[Path, ...]) -> Export:
    """Read exported objects; what is of other kinds is passed over."""
    found = [item for path in paths for item in documents(path)]
    namespaces = {
        item["metadata"]["name"]: item["metadata"].get("labels") or {}
        for item in found
        if item.get("kind") == "Namespace"
    }
    return Export(_typed(ActionPlan, found), _typed(Incident, found), namespaces)


@plain_errors()
def from_cluster(kubeconfig: Path | None) -> Export:
    """List plans, incidents and namespaces with the caller's own credentials."""
    from controllers.kube.client import connect
    from controllers.kube.resources import NAMESPACES

    kube = connect(kubeconfig)
    spaces = {body["metadata"]["name"]: body["metadata"].get("labels") or {} for body in kube.list_raw(NAMESPACES)}
    return Export(kube.list_all(ActionPlan), kube.list_all(Incident), spaces)


def load(paths: tuple[Path, ...], kubeconfig: Path | None) -> Export:
    """From files where some are given, else from the cluster."""
    return from_files(paths) if paths else from_cluster(kubeconfig)


def _typed(kind: type[R], found: list[dict[str, Any]]) -> list[R]:
    result = []
    for item in found:
        if item.get("kind") != kind.definition.kind:
            continue
        try:
            result.append(kind.from_wire(item))
        except ValidationError as error:
            name = item["metadata"]["name"]
            raise click.ClickException(f"{kind.definition.kind} {name}: {error.errors()[0]['msg']}") from error
    return result

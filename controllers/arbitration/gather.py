"""Reads what arbitration rests on. A kind that is not served has no objects; what may not be read is said so."""

from __future__ import annotations

from controllers.arbitration import argocd, flux
from controllers.arbitration.fields import REPLICAS, TEMPLATE, changed_fields
from controllers.arbitration.model import Body, Listed, Looked, Subject, Surroundings
from controllers.kube.api import Kube
from controllers.kube.errors import Forbidden, NotFound
from controllers.kube.resources import (
    APPLICATIONS,
    HELM_RELEASES,
    HPAS,
    KUSTOMIZATIONS,
    QUOTAS,
    SCALED_OBJECTS,
    VERTICAL_AUTOSCALERS,
    ResourceType,
)
from crds.v1alpha1.actions import Action

ARGOCD_NAMESPACE = "argocd"
"""Where Applications live whose tracking-id names no namespace."""


def look(
    kube: Kube, action: Action, live: Body, argocd_namespace: str = ARGOCD_NAMESPACE, *, writers_only: bool = False
) -> Subject:
    """The target of an action with everything that says who else writes it.

    Args:
        writers_only: leave out what only advises (quotas, vertical autoscalers).

    Raises:
        Unavailable: the API server did not answer.
    """
    fields = changed_fields(action)
    if not fields:
        return Subject(action, live)
    bare, namespace = Subject(action, live), str(live["metadata"].get("namespace", ""))
    scales = any(field.label == REPLICAS for field in fields)
    templates = any(field.label == TEMPLATE for field in fields)
    around = Surroundings(
        autoscalers=_list(kube, HPAS, namespace) if scales else Listed(),
        scaled_objects=_list(kube, SCALED_OBJECTS, namespace) if scales else Listed(),
        vertical=_list(kube, VERTICAL_AUTOSCALERS, namespace) if templates and not writers_only else Listed(),
        quotas=_list(kube, QUOTAS, namespace) if scales and not writers_only else Listed(),
        application=_application(kube, bare, argocd_namespace),
        kustomization=_owner(kube, KUSTOMIZATIONS, flux.owner(bare, flux.KUSTOMIZE)),
        helm_release=_owner(kube, HELM_RELEASES, flux.owner(bare, flux.HELM)),
    )
    return Subject(action, live, around)


def _application(kube: Kube, subject: Subject, namespace: str) -> Looked:
    found = argocd.tracking(subject)
    return _owner(kube, APPLICATIONS, (found.namespace or namespace, found.application) if found else None)


def _owner(kube: Kube, resource: ResourceType, owner: tuple[str, str] | None) -> Looked:
    if owner is None:
        return Looked()
    try:
        return Looked(kube.get_raw(resource, *owner))
    except NotFound:
        return Looked()
    except Forbidden as error:
        return Looked(problem=_brief(error))


def _list(kube: Kube, resource: ResourceType, namespace: str) -> Listed:
    try:
        return Listed(tuple(kube.list_raw(resource, namespace)))
    except NotFound:
        return Listed()
    except Forbidden as error:
        return Listed(problem=_brief(error))


def _brief(error: Forbidden) -> str:
    return f"not allowed: {error.message}"[:120]

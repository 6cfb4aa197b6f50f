"""What a controller is to the runtime: what it watches, how objects map to keys, and its reconcile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from controllers.audit.log import Audit, NoAudit
from controllers.kube.api import Kube
from controllers.kube.events import Recorder
from controllers.kube.reflector import Sink
from controllers.kube.resources import ResourceType
from controllers.runtime.analysis import Analysis
from controllers.runtime.metrics import Metrics
from controllers.runtime.outcome import Key, Outcome
from controllers.runtime.settings import Settings
from crds.v1alpha1.base import Resource
from crds.v1alpha1.labels import INCIDENT_LABEL

Body = Mapping[str, Any]
KeysOf = Callable[[Body], Iterable[Key]]
LookIn = Callable[[Key, float], None]


def utc_now() -> datetime:
    """The wall clock, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Context:
    """Everything a controller may use; built once in ``controllers.__main__``, by hand in tests."""

    settings: Settings
    kube: Kube
    events: Recorder
    metrics: Metrics
    analysis: Analysis | None = None
    """None when ``IIRP_ANALYSIS_URL`` is not set; those who need it refuse to start."""
    now: Callable[[], datetime] = utc_now
    audit: Audit = field(default_factory=NoAudit)
    """Asked before a decision takes effect."""


class Observer(Protocol):
    """Sees every raw event of a watch before keys are computed (detection keeps the pods' topology this way)."""

    def __call__(self, event_type: str | None, body: Body) -> None:
        """``event_type`` is None (initial list), ADDED, MODIFIED or DELETED."""


@dataclass(frozen=True)
class Watch:
    """One watched kind. ``keys`` maps an object to the keys to reconcile, for example a child to its owner."""

    resource: ResourceType
    keys: KeysOf
    observer: Observer | None = None


@dataclass(frozen=True)
class Controller:
    """A reconcile with its triggers. ``resync`` lists all keys; it runs at start and every ``resync_interval``."""

    name: str
    reconcile: Callable[[Key], Outcome]
    watches: tuple[Watch, ...]
    resync: Callable[[], Iterable[Key]]
    reflected: tuple[tuple[ResourceType, Sink], ...] = field(default=())
    """Kinds of which only small records are kept, by many objects: listed and watched without kopf."""
    attach: Callable[[LookIn], None] = field(default=lambda _: None)
    """Called once, before the first list, with what asks for a reconcile of a key in so many seconds or earlier."""
    needs: tuple[ResourceType, ...] = field(default=())
    """Kinds that must be served before the start, beyond the watched ones."""


def own_key(body: Body) -> Iterable[Key]:
    """The object itself."""
    metadata = body.get("metadata", {})
    yield Key(metadata.get("namespace", ""), metadata["name"])


def incident_key(body: Body) -> Iterable[Key]:
    """The Incident that an object of the chain belongs to, by its label ``iirp.io/incident``."""
    metadata = body.get("metadata", {})
    name = (metadata.get("labels") or {}).get(INCIDENT_LABEL)
    if name:
        yield Key(metadata.get("namespace", ""), name)


def list_keys(context: Context, kind: type[Resource]) -> Callable[[], list[Key]]:
    """For ``Controller.resync``: every object of that kind in the watched namespaces."""

    def keys() -> list[Key]:
        spaces: tuple[str | None, ...] = context.settings.namespaces or (None,)
        if not kind.definition.namespaced:
            spaces = (None,)
        return [
            Key(item.metadata.namespace, item.metadata.name)
            for namespace in spaces
            for item in context.kube.list_all(kind, namespace)
        ]

    return keys

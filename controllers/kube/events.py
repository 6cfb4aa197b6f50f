"""Kubernetes Events: the story of an object for ``kubectl describe``. Emitted on transitions only."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from controllers.kube.api import Kube
from controllers.kube.errors import AlreadyExists, KubeError
from controllers.kube.resources import EVENTS
from crds import API_VERSION
from crds.v1alpha1.base import Resource

log = logging.getLogger(__name__)

NORMAL = "Normal"
WARNING = "Warning"


class Recorder(Protocol):
    """Port for events; losing one is never a reason to fail."""

    def emit(self, obj: Resource, event_type: str, reason: str, note: str, *, action: str = "", once: str = "") -> None:
        """Record that ``reason`` happened to ``obj``. The same (object, reason, note, ``once``) is recorded once.

        ``once`` tells repetitions apart that should both be seen, for example the transition time.
        """


class KubeRecorder:
    """Writes events.k8s.io/v1, named by content, so that a crash between write and bookkeeping makes no duplicate."""

    def __init__(self, kube: Kube, controller: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._kube = kube
        self._controller = f"iirp.io/{controller}"
        self._manager = f"iirp-{controller}"
        self._instance = os.environ.get("HOSTNAME", self._manager)[:128]
        self._now = now

    def emit(self, obj: Resource, event_type: str, reason: str, note: str, *, action: str = "", once: str = "") -> None:
        """See the port."""
        meta = obj.metadata
        namespace = meta.namespace or "default"
        identity = "\0".join((meta.uid, reason, note, once))
        name = f"{meta.name[:230]}.{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
        body = {
            "metadata": {"name": name, "namespace": namespace},
            "eventTime": self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": self._controller,
            "reportingInstance": self._instance,
            "action": (action or reason)[:128],
            "reason": reason[:128],
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": type(obj).definition.kind,
                "namespace": meta.namespace,
                "name": meta.name,
                "uid": meta.uid,
            },
            "note": note[:1024],
            "type": event_type,
        }
        try:
            self._kube.create_raw(EVENTS, namespace, body, manager=self._manager)
        except AlreadyExists:
            return
        except KubeError as error:
            log.warning("event not recorded", extra={"reason": reason, "error": str(error)})

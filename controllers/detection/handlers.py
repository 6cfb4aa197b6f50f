"""What detection watches: pods and what stands around them, as records.

The round runs on a clock, by requeue, and at once when a record turns bad.
"""

from __future__ import annotations

from functools import partial

from controllers.detection.reconcile import TICK, Detection
from controllers.kube.reflector import Sink
from controllers.kube.resources import CORE_EVENTS, PODS, REPLICASETS, ResourceType, resource_type
from controllers.runtime.controller import Context, Controller, Watch
from controllers.runtime.errors import Terminal
from crds.v1alpha1.incident import Incident


def build(context: Context) -> Controller:
    """Raises Terminal when no analysis server is configured."""
    if context.analysis is None:
        raise Terminal("NotConfigured", "detection needs IIRP_ANALYSIS_URL")
    detection = Detection(context, context.analysis)
    sinks: tuple[tuple[ResourceType, Sink], ...] = (
        (PODS, detection.pods),
        (CORE_EVENTS, detection.warnings),
        *detection.inventory.stores.items(),
    )
    detection.pods.fed = True
    for store in detection.inventory.stores.values():
        store.fed = True
    return Controller(
        name="detection",
        reconcile=detection.reconcile,
        watches=(Watch(resource_type(Incident), keys=lambda _: ()),),
        reflected=sinks,
        attach=lambda look_in: detection.alarm.bind(partial(look_in, TICK)),
        resync=lambda: (TICK,),
        needs=(REPLICASETS, PODS),
    )

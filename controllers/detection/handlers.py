"""What detection watches: pods and what stands around them. The round itself runs on a clock, by requeue."""

from __future__ import annotations

from controllers.detection.reconcile import TICK, Detection
from controllers.kube.resources import PODS, REPLICASETS, resource_type
from controllers.runtime.controller import Context, Controller, Watch
from controllers.runtime.errors import Terminal
from crds.v1alpha1.incident import Incident


def build(context: Context) -> Controller:
    """Raises Terminal when no analysis server is configured."""
    if context.analysis is None:
        raise Terminal("NotConfigured", "detection needs IIRP_ANALYSIS_URL")
    detection = Detection(context, context.analysis)
    return Controller(
        name="detection",
        reconcile=detection.reconcile,
        watches=(
            Watch(PODS, keys=lambda _: (), observer=detection.pods.observe),
            *(
                Watch(resource, keys=lambda _: (), observer=store.observe)
                for resource, store in detection.inventory.stores.items()
            ),
        ),
        resync=lambda: (TICK,),
        needs=(REPLICASETS, resource_type(Incident)),
    )

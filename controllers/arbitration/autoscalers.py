"""Autoscalers: they set the number of replicas again within seconds. Pure.

Sources: the HorizontalPodAutoscaler algorithm (a target at 0 replicas is left alone), KEDA's ScaledObject specification
(``autoscaling.keda.sh/paused`` removes its HPA, ``paused-replicas`` holds a number).
"""

from __future__ import annotations

from collections.abc import Iterator

from controllers.arbitration.fields import REPLICAS, TEMPLATE, Field
from controllers.arbitration.model import Body, Claim, Subject
from crds.v1alpha1.actionplan import WriteMode

PAUSED = "autoscaling.keda.sh/paused"
PAUSED_REPLICAS = "autoscaling.keda.sh/paused-replicas"
REASON = "ManagedByAutoscaler"


def claims(subject: Subject, field: Field) -> Iterator[Claim]:
    """What autoscalers say about a field."""
    if field.label == TEMPLATE and (found := vertical(subject)) is not None:
        writer = f"VerticalPodAutoscaler {found['metadata']['name']}"
        message = f"{writer} sets the requests of pods as they start, whatever the template says"
        yield Claim(field, WriteMode.IMPERATIVE, writer, "RequestsSetByAutoscaler", message)
    if field.label != REPLICAS:
        return
    around = subject.around
    scaled = scaled_object(subject)
    if scaled is not None:
        yield from _keda(field, scaled)
    elif (found := horizontal(subject)) is not None:
        yield _horizontal(subject, field, found)
    for listed, what in ((around.autoscalers, "HorizontalPodAutoscalers"), (around.scaled_objects, "ScaledObjects")):
        if listed.problem:
            message = f"{what} could not be listed ({listed.problem}), so whether one sets the replicas is not known"
            yield Claim(field, WriteMode.NEEDS_PAUSE, what, "AutoscalersUnknown", message, certain=False)


def horizontal(subject: Subject) -> Body | None:
    """The HorizontalPodAutoscaler of the target."""
    return next(
        (b for b in subject.around.autoscalers.items if subject.is_ref(_spec(b).get("scaleTargetRef", {}))), None
    )


def scaled_object(subject: Subject) -> Body | None:
    """The KEDA ScaledObject of the target."""
    items = subject.around.scaled_objects.items
    return next((b for b in items if subject.is_ref(_spec(b).get("scaleTargetRef", {}))), None)


def vertical(subject: Subject) -> Body | None:
    """The VerticalPodAutoscaler of the target."""
    return next((b for b in subject.around.vertical.items if subject.is_ref(_spec(b).get("targetRef", {}))), None)


def _horizontal(subject: Subject, field: Field, body: Body) -> Claim:
    name, spec = body["metadata"]["name"], _spec(body)
    writer, bounds = (
        f"HorizontalPodAutoscaler {name}",
        f"{spec.get('minReplicas', 1)} to {spec.get('maxReplicas', '?')}",
    )
    if int(subject.live["spec"].get("replicas", 1)) == 0:
        message = f"{writer} is idle while there are 0 replicas, and sets them ({bounds}) once there are some"
        return Claim(field, WriteMode.IMPERATIVE, writer, "AutoscalerIdle", message)
    message = (
        f"{writer} ({bounds}) sets the replicas and would undo this; change its minReplicas or maxReplicas instead"
    )
    return Claim(field, WriteMode.NEEDS_PAUSE, writer, REASON, message)


def _keda(field: Field, body: Body) -> Iterator[Claim]:
    name, spec = body["metadata"]["name"], _spec(body)
    annotations = body["metadata"].get("annotations") or {}
    writer = f"ScaledObject {name}"
    if PAUSED_REPLICAS in annotations:
        held = str(annotations[PAUSED_REPLICAS])[:12]
        message = (
            f"{writer} is paused at {held} replicas and holds that number; change its annotation {PAUSED_REPLICAS}"
        )
        yield Claim(field, WriteMode.NEEDS_PAUSE, writer, REASON, message)
    elif str(annotations.get(PAUSED, "")).lower() == "true":
        yield Claim(field, WriteMode.IMPERATIVE, writer, "AutoscalerPaused", f"{writer} is paused")
    else:
        bounds = f"{spec.get('minReplicaCount', 0)} to {spec.get('maxReplicaCount', 100)}"
        message = f"{writer} (KEDA, {bounds}) sets the replicas and would undo this; pause it or change its bounds"
        yield Claim(field, WriteMode.NEEDS_PAUSE, writer, REASON, message)


def _spec(body: Body) -> Body:
    return body.get("spec") or {}

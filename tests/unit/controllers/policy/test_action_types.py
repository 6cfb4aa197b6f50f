"""What only single action types ask of their target, decided from objects as the API server serves them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from controllers.kube.resources import DEPLOYMENTS
from controllers.kube.targets import read_target as read_live
from controllers.policy.handlers import build
from controllers.policy.target import Target, read_target
from controllers.runtime.outcome import Key
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actions import Action
from tests.fakes.chain import (
    NS,
    PLAN,
    PLATFORM,
    Clock,
    add_incident,
    add_plan,
    add_policy,
    context,
    deployment,
    rule,
)
from tests.fakes.kube import FakeKube
from tests.fakes.workloads import (
    OLD,
    POD,
    add_all,
    daemon_set,
    look,
    mount,
    pause,
    restart_pod,
    restart_set,
    rollback,
    scale_set,
    stateful_set,
)

World = dict[tuple[str, str, str], Any]
KEY = Key(NS, PLAN)
AUTO = rule("AutoLowRisk")


def decide(action: Action, change: Callable[[World], Any] = lambda _: None, **limits: Any) -> tuple[str, str]:
    """Tier and reason of a plan with this one action, where a person decides."""
    return decide_with(action, lambda kube: change(kube.objects), rule(limits=limits))[:2]


def decide_with(
    action: Action, prepare: Callable[[FakeKube], Any], says: dict[str, Any] = AUTO
) -> tuple[str, str, str]:
    """Tier, reason and message of a plan with this one action."""
    clock = Clock()
    kube = FakeKube(clock)
    kube.add_raw(DEPLOYMENTS, deployment())
    add_all(kube)
    if action.job is not None:
        mount(kube)
    add_incident(kube)
    add_plan(kube, action)
    add_policy(kube, says)
    prepare(kube)
    build(context(kube, clock)).reconcile(KEY)
    decision = kube.get(ActionPlan, NS, PLAN).status.decision
    assert decision is not None
    return decision.tier.value, decision.reason, decision.message


ACTIONS = [
    restart_set("StatefulSet"), restart_set("DaemonSet"), scale_set(4), rollback(), pause(), restart_pod(), look(),
]  # fmt: skip


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.type.value)
def test_asked_about_when_the_target_is_as_it_should_be(action: Action) -> None:
    assert decide(action) == ("HumanApproval", "ApprovalRequired")


def on_two_nodes(objects: World) -> None:
    """The Deployment's other pod stands on another node; a third node has somebody else's."""
    first = objects["pods", NS, POD]
    first["spec"]["nodeName"] = "n1"
    for name, node, labels in (("payments-2", "n2", first["metadata"]["labels"]), ("cart-1", "n3", {"app": "cart"})):
        metadata = {"name": name, "namespace": NS, "labels": labels}
        objects["pods", NS, name] = {"metadata": metadata, "spec": {**first["spec"], "nodeName": node}}


@pytest.mark.parametrize(
    ("action", "bound", "reason"),
    [
        (rollback(), 2, "ApprovalRequired"),
        (rollback(), 1, "TooManyNodes"),
        (restart_pod(), 1, "ApprovalRequired"),
        (restart_set("DaemonSet"), 1, "TooManyNodes"),
    ],
    ids=lambda value: value.type.value if isinstance(value, Action) else None,
)
def test_the_nodes_that_an_action_touches_are_counted(action: Action, bound: int, reason: str) -> None:
    assert decide(action, on_two_nodes, maxNodes=bound)[1] == reason


def on_delete(objects: World) -> None:
    for plural, name in (("statefulsets", "db"), ("daemonsets", "agent")):
        objects[plural, NS, name]["spec"]["updateStrategy"] = {"type": "OnDelete"}


def another_deployments(objects: World) -> None:
    objects["replicasets", NS, OLD]["metadata"]["ownerReferences"][0]["uid"] = "another"


def already_there(objects: World) -> None:
    template = objects["deployments", NS, "payments"]["spec"]["template"]
    template["spec"]["containers"][0]["image"] = "shop:v1.8"
    template["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}


def test_a_revision_that_differs_in_an_annotation_only_is_another_one() -> None:
    """An annotation of the pod template may be what an injector or a scraper goes by."""

    def annotated(objects: World) -> None:
        already_there(objects)
        template = objects["deployments", NS, "payments"]["spec"]["template"]
        template["metadata"]["annotations"]["prometheus.io/scrape"] = "false"

    assert decide(rollback(), annotated) == ("HumanApproval", "ApprovalRequired")


def orphan(objects: World) -> None:
    del objects["pods", NS, POD]["metadata"]["ownerReferences"]


def paused(objects: World) -> None:
    objects["deployments", NS, "payments"]["spec"]["paused"] = True


def autoscaled(objects: World) -> None:
    spec = {"scaleTargetRef": {"kind": "StatefulSet", "name": "db"}}
    objects["horizontalpodautoscalers", NS, "db"] = {"metadata": {"name": "db", "namespace": NS}, "spec": spec}


@pytest.mark.parametrize(
    ("action", "change", "reason"),
    [
        (restart_set("StatefulSet"), on_delete, "UpdateOnDelete"),
        (restart_set("DaemonSet"), on_delete, "UpdateOnDelete"),
        (restart_set("StatefulSet"), lambda o: o.pop(("statefulsets", NS, "db")), "TargetNotFound"),
        (scale_set(3), lambda _: None, "NoChange"),
        (scale_set(9), lambda _: None, "ReplicaChangeTooLarge"),
        (scale_set(4), autoscaled, "ManagedByAutoscaler"),
        (rollback(), lambda o: o.pop(("replicasets", NS, OLD)), "RevisionGone"),
        (rollback(), another_deployments, "RevisionGone"),
        (rollback(), already_there, "NoChange"),
        (rollback(), paused, "TargetPaused"),
        (pause(), paused, "TargetPaused"),
        (look("somebody-elses"), lambda _: None, "NotItsVolume"),
        (look(), lambda o: o.pop(("podtemplates", PLATFORM, "iirp-job-disk-usage")), "TemplateGone"),
        (restart_pod(owner=OLD), lambda _: None, "NotItsController"),
        (restart_pod(), orphan, "NotItsController"),
        (restart_pod(), lambda o: o["pods", NS, POD]["metadata"].update(uid="later"), "TargetReplaced"),
        (restart_pod(), lambda o: o["pods", NS, POD]["metadata"].update(deletionTimestamp="x"), "TargetDeleting"),
    ],
)
def test_refused_before_anybody_is_asked(action: Action, change: Callable[[World], Any], reason: str) -> None:
    assert decide(action, change) == ("Forbidden", reason)


def test_one_pod_of_two_is_half_of_the_workload() -> None:
    assert decide(restart_pod(), maxUnavailablePercent=50)[0] == "HumanApproval"
    assert decide(restart_pod(), maxUnavailablePercent=49) == ("Forbidden", "BlastRadius")


def test_kinds_are_read_by_their_own_numbers() -> None:
    assert read_target({**stateful_set(), "kind": "StatefulSet"}) == Target(
        f"uid-statefulsets-{NS}-db", 3, ready=3, unavailable=1
    )
    strategy = {"rollingUpdate": {"maxUnavailable": "50%"}}
    assert read_target({**daemon_set(updateStrategy=strategy), "kind": "DaemonSet"}) == Target(
        f"uid-daemonsets-{NS}-agent", 4, ready=4, unavailable=2, nodes=4
    )
    kube = FakeKube()
    add_all(kube)
    pod = read_live(kube, NS, restart_pod(), PLATFORM)
    assert pod is not None
    target = read_target(pod)
    assert (target.replicas, target.ready, target.related) == (2, 2, True)

"""A rollback's grant takes effect only once the pod template that it may write has been there for a while."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.approval.grants import TEMPLATE_LEAD
from controllers.approval.handlers import build
from controllers.kube.resources import DEPLOYMENTS, POD_TEMPLATES
from controllers.runtime.outcome import Key, Requeue
from crds.v1alpha1.approval import Approval, ApprovalState, DecisionVerdict
from crds.v1alpha1.digest import action_id
from tests.fakes.chain import NS, PLAN, Clock, add_incident, add_plan, context, decide_plan, deployment, say
from tests.fakes.kube import FakeKube
from tests.fakes.workloads import OLD, add_all, rollback

KEY = Key(NS, PLAN)


class Room:
    """An approved rollback."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.kube = FakeKube(self.clock)
        self.kube.add_raw(DEPLOYMENTS, deployment())
        add_all(self.kube)
        add_incident(self.kube)
        plan = decide_plan(self.kube, add_plan(self.kube, rollback()))
        self.name = f"iirp-grant-{action_id(plan.metadata.uid, rollback())}"
        self.controller = build(context(self.kube, self.clock))
        say(self.kube, "alice", DecisionVerdict.APPROVE)

    def run(self, after: float = 0) -> Any:
        self.clock.forward(after)
        return self.controller.reconcile(KEY)

    def has(self, plural: str) -> bool:
        return (plural, NS, self.name) in self.kube.objects

    @property
    def grants(self) -> list[str]:
        return self.kube.get(Approval, NS, PLAN).status.grants


LEAD = TEMPLATE_LEAD.total_seconds()


def test_role_then_template_then_after_a_while_the_binding() -> None:
    room = Room()
    assert room.run() == Requeue(1.0)
    assert room.has("roles")
    assert room.has("podtemplates")
    assert not room.has("rolebindings")
    assert room.grants == []
    room.run(after=LEAD - 1)
    assert not room.has("rolebindings"), "an API server may not have seen the PodTemplate yet"
    room.run(after=1)
    assert room.has("rolebindings")
    assert room.grants == [room.name]
    template = room.kube.objects["podtemplates", NS, room.name]
    role = room.kube.objects["roles", NS, room.name]
    assert template["metadata"]["ownerReferences"][0]["uid"] == role["metadata"]["uid"]
    assert template["metadata"]["annotations"] == {"iirp.io/rollback-to": OLD}
    assert template["template"]["spec"]["containers"][0]["image"] == "shop:v1.8"
    assert "pod-template-hash" not in template["template"]["metadata"]["labels"]
    assert role["rules"][0]["resourceNames"] == [f"rollback.payments.{OLD}.{room.name.removeprefix('iirp-grant-')}"]


def forge_content(room: Room) -> None:
    room.kube.objects["podtemplates", NS, room.name]["template"]["spec"]["containers"][0]["image"] = "evil"


def forge_owner(room: Room) -> None:
    room.kube.objects["podtemplates", NS, room.name]["metadata"]["ownerReferences"][0]["uid"] = "an earlier role"


def delete_template(room: Room) -> None:
    del room.kube.objects["podtemplates", NS, room.name]


@pytest.mark.parametrize("spoil", [forge_content, forge_owner, delete_template])
def test_without_the_right_template_the_grant_is_taken_back(spoil: Any) -> None:
    room = Room()
    room.run()
    room.run(after=LEAD)
    spoil(room)
    room.run(after=1)
    assert not room.has("rolebindings")
    assert room.grants == []


def test_a_template_of_that_name_by_somebody_else_grants_nothing() -> None:
    room = Room()
    metadata = {"name": room.name, "namespace": NS, "creationTimestamp": "2020-01-01T00:00:00Z"}
    body = {"metadata": metadata, "template": {"metadata": {}, "spec": {"containers": []}}}
    room.kube.add_raw(POD_TEMPLATES, body)
    for _ in range(5):
        room.run(after=LEAD)
    assert not room.has("rolebindings")


def test_a_revision_that_is_gone_or_edited_voids_the_approval() -> None:
    for spoil in (
        lambda objects: objects.pop(("replicasets", NS, OLD)),
        lambda objects: objects["replicasets", NS, OLD]["spec"]["template"]["spec"].update(hostNetwork=True),
    ):
        room = Room()
        spoil(room.kube.objects)
        room.run()
        status = room.kube.get(Approval, NS, PLAN).status
        assert (status.state, status.reason) == (ApprovalState.VOID, "TargetChanged")
        assert not room.has("roles")

"""A workload for every action type with a grant in force for it, and what each grant lets through."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.e2e.executor import grant_objects, pod_template, restart
from tests.e2e.objects import deployment
from tests.e2e.objects import workload as body_of
from tests.e2e.support import eventually
from tests.safety.api import ADMIN, Api, Who, path_of
from tests.safety.case import EXECUTOR, GRANTS, RBAC, ROLLBACK, Case
from tests.safety.fields import Change, changes, merged
from tests.safety.thief import AREA
from tests.safety.world import account, create, grant, soon

STATEFUL, DAEMON, BACK, POD = (f"act-{number:016x}" for number in (0xD3, 0xD4, 0xD5, 0xD6))
DELETE = {"apiVersion": "v1", "kind": "DeleteOptions"}


@dataclass(frozen=True)
class Targets:
    """What was made in a namespace."""

    namespace: str
    first: dict[str, Any]
    """ReplicaSet of the revision that ``back`` may go back to."""
    second: dict[str, Any]
    pods: tuple[dict[str, Any], dict[str, Any]]
    """The pod that may go, and one that may not."""

    def path(self, plural: str, name: str) -> str:
        """Of a workload."""
        return path_of("apps/v1", self.namespace, plural, name)

    @property
    def rollback(self) -> Change:
        """The patch that the grant for ``back`` covers."""
        marks = {"iirp.io/action-id": BACK, "iirp.io/rollback-to": self.first["metadata"]["name"]}
        image = {"containers": [{"name": "app", "image": "example.invalid/app:1"}]}
        return {"metadata": {"annotations": marks}, "spec": {"template": {"spec": image}}}

    def delete(self, number: int, **options: Any) -> tuple[str, dict[str, Any]]:
        """Path and options of deleting a pod."""
        pod = self.pods[number]["metadata"]
        body = {**DELETE, "preconditions": {"uid": pod["uid"]}, **options}
        return path_of("v1", self.namespace, "pods", pod["name"]), body


def make(api: Api, namespace: str, executor: Who) -> Targets:
    """Everything, with each grant seen to be in force by a dry run."""
    create(api, body_of("StatefulSet", namespace, "db"))
    create(api, body_of("DaemonSet", namespace, "agent"))
    grant(api, namespace, STATEFUL, f"restart-statefulset.db.{STATEFUL}")
    grant(api, namespace, DAEMON, f"restart-daemonset.agent.{DAEMON}")
    first, second = _revisions(api, namespace)
    _grant_rollback(api, namespace, first)
    targets = Targets(namespace, first, second, _pods(api, namespace))
    pod = targets.pods[0]["metadata"]
    grant(api, namespace, POD, f"delete-pod.{pod['name']}.{pod['uid']}")
    for what, method, path, body in _granted(targets):
        soon(lambda m=method, p=path, b=body: api.send(m, p, who=executor, body=b, dry=True), f"{what} to be granted")
    return targets


def _granted(targets: Targets) -> Iterator[tuple[str, str, str, Change]]:
    yield "a StatefulSet's restart", "PATCH", targets.path("statefulsets", "db"), json.loads(restart(STATEFUL))
    yield "a DaemonSet's restart", "PATCH", targets.path("daemonsets", "agent"), json.loads(restart(DAEMON))
    yield "a rollback", "PATCH", targets.path("deployments", "back"), targets.rollback
    yield "a pod's deletion", "DELETE", *targets.delete(0)


def _revisions(api: Api, namespace: str) -> tuple[dict[str, Any], dict[str, Any]]:
    path = path_of("apps/v1", namespace, "deployments", "back")
    create(api, deployment(namespace, "back"))
    first = _revision(api, namespace, "1")
    image = {"containers": [{"name": "app", "image": "example.invalid/app:2"}]}
    assert api.send("PATCH", path, body={"spec": {"template": {"spec": image}}}, patch="strategic").code == 200
    return first, _revision(api, namespace, "2")


def _revision(api: Api, namespace: str, number: str) -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        sets = api.get(path_of("apps/v1", namespace, "replicasets") + "?labelSelector=app%3Dback")["items"]
        mark = "deployment.kubernetes.io/revision"
        return next((body for body in sets if body["metadata"]["annotations"].get(mark) == number), None)

    body: dict[str, Any] = eventually(found, within=30, what=f"revision {number} of back")
    return body


def _grant_rollback(api: Api, namespace: str, to: dict[str, Any]) -> None:
    """In the approval controller's order: what the API server compares with comes before what makes it effective."""
    name = f"rollback.back.{to['metadata']['name']}.{BACK}"
    role, binding = grant_objects(namespace, name=f"iirp-grant-{BACK}", resource_name=name)
    stored = create(api, role, account("iirp-approval"))
    create(api, pod_template({**role, **stored}, to), account("iirp-approval"))
    path = path_of("apps/v1", namespace, "deployments", "back")
    spoiled = {"spec": {"template": {"spec": {"hostNetwork": True}}}}
    assert api.send("PATCH", path, who=ADMIN, body=spoiled, dry=True).code == 200
    create(api, binding, account("iirp-approval"))


def _pods(api: Api, namespace: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two pods of a Deployment that no node takes: they wait for ever, and nothing of them runs."""
    body = deployment(namespace, "parked", replicas=2)
    body["spec"]["template"]["spec"]["nodeSelector"] = {"nowhere": "true"}
    create(api, body)

    def found() -> list[dict[str, Any]] | None:
        pods = api.get(path_of("v1", namespace, "pods") + "?labelSelector=app%3Dparked")["items"]
        # Once the scheduler has said so, nobody writes them any more: a version that is asked for stays the live one.
        parked = [pod for pod in pods if any(c["type"] == "PodScheduled" for c in pod["status"].get("conditions", ()))]
        return parked if len(parked) == 2 else None

    one, two = eventually(found, within=60, what="two pods that no node takes")
    return one, two


def cases(targets: Targets, who: Who) -> Iterator[Case]:
    """Every field of the other kinds, alone and smuggled into what is granted; and pods that were not granted."""
    for kind, plural, name, action in (
        ("StatefulSet", "statefulsets", "db", STATEFUL),
        ("DaemonSet", "daemonsets", "agent", DAEMON),
    ):
        granted = json.loads(restart(action))
        area, path = f"{AREA}: fields of a {kind}", targets.path(plural, name)
        for field, change in changes(kind).items():
            yield Case(area, f"{field}, alone", "PATCH", path, change, who=who, by=(EXECUTOR,))
            both = merged(granted, change)
            yield Case(area, f"{field}, in the granted restart", "PATCH", path, both, who=who, by=(EXECUTOR,))
    area, path = f"{AREA}: fields in a granted rollback", targets.path("deployments", "back")
    for field, change in changes().items():
        both = merged(targets.rollback, change)
        yield Case(area, field, "PATCH", path, both, who=who, by=(EXECUTOR, ROLLBACK))
    yield from _template_stays(targets)
    yield from _others(targets, who)
    yield from _of_pods(targets, who)


def _template_stays(targets: Targets) -> Iterator[Case]:
    """Whoever may delete PodTemplates would otherwise widen what the granted rollback may write."""
    one = path_of("v1", targets.namespace, "podtemplates", f"iirp-grant-{BACK}")
    for name, path in (("alone", one), ("with all others", path_of("v1", targets.namespace, "podtemplates"))):
        for by in (ADMIN, account("iirp-approval")):
            area = f"{AREA}: what a rollback is compared with"
            yield Case(area, f"deleted {name}", "DELETE", path, {}, who=by, by=(GRANTS, RBAC), dry=True)


def _others(targets: Targets, who: Who) -> Iterator[Case]:
    """A grant for one kind, revision or effect is none for another."""
    area = f"{AREA}: another action's grant"
    web, back = targets.path("deployments", "web"), targets.path("deployments", "back")
    scaled = {"metadata": {"annotations": {"iirp.io/action-id": STATEFUL}}, "spec": {"replicas": 3}}
    paused = {"metadata": {"annotations": {"iirp.io/action-id": BACK}}, "spec": {"paused": True}}
    elsewhere = merged(
        targets.rollback, {"metadata": {"annotations": {"iirp.io/rollback-to": targets.second["metadata"]["name"]}}}
    )
    nowhere = merged(targets.rollback, {"metadata": {"annotations": {"iirp.io/rollback-to": None}}})
    asked: dict[str, tuple[str, Change]] = {
        "a StatefulSet's restart on a Deployment": (web, json.loads(restart(STATEFUL))),
        "a Deployment's restart on a StatefulSet": (targets.path("statefulsets", "db"), json.loads(restart(DAEMON))),
        "a DaemonSet's restart on a StatefulSet": (targets.path("statefulsets", "db"), json.loads(restart(DAEMON))),
        "a StatefulSet's restart on a DaemonSet": (targets.path("daemonsets", "agent"), json.loads(restart(STATEFUL))),
        "a StatefulSet's restart as a scale": (targets.path("statefulsets", "db"), scaled),
        "a rollback as a pause": (back, paused),
        "a rollback as a restart": (back, json.loads(restart(BACK))),
        "a rollback of another Deployment": (web, targets.rollback),
        "a rollback to another revision": (back, elsewhere),
        "a rollback without its revision": (back, nowhere),
        "a rollback with a scale": (back, merged(targets.rollback, {"spec": {"replicas": 4}})),
        "a rollback with a pause": (back, merged(targets.rollback, {"spec": {"paused": True}})),
        "a rollback with a restart": (back, merged(targets.rollback, json.loads(restart(BACK)))),
        "a rollback of a StatefulSet": (targets.path("statefulsets", "db"), targets.rollback),
    }  # fmt: skip
    for name, (path, body) in asked.items():
        yield Case(area, name, "PATCH", path, body, who=who, by=(EXECUTOR, ROLLBACK))


def _of_pods(targets: Targets, who: Who) -> Iterator[Case]:
    area, version = f"{AREA}: pods", targets.pods[0]["metadata"]["resourceVersion"]
    asked = {
        "another pod": targets.delete(1),
        "without its UID": targets.delete(0, preconditions={}),
        "with no options": (targets.delete(0)[0], DELETE),
        "by resourceVersion only": targets.delete(0, preconditions={"resourceVersion": version}),
    }  # fmt: skip
    for name, (path, body) in asked.items():
        yield Case(area, name, "DELETE", path, body, who=who, by=(EXECUTOR,))
    collection = path_of("v1", targets.namespace, "pods")
    yield Case(area, "all of them", "DELETE", collection, DELETE, who=who, by=(RBAC, EXECUTOR))
    yield Case(area, "evict", "POST", f"{targets.delete(0)[0]}/eviction", {}, who=who, by=(RBAC, EXECUTOR))
    yield Case(area, "finalizer", "PATCH", targets.delete(0)[0], {"metadata": {"finalizers": []}}, who=who, by=(RBAC,))
    yield Case(
        area, "ephemeral container", "PATCH", f"{targets.delete(0)[0]}/ephemeralcontainers", {}, who=who, by=(RBAC,)
    )

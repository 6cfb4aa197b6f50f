"""Only the approval controller writes grants, only exact ones, and nothing else (S2)."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from tests.e2e.executor import ID, OTHER_ID, grant_objects, restart
from tests.e2e.objects import SYSTEM, binding, role
from tests.safety.api import ADMIN, Who, path_of
from tests.safety.case import GRANTS, RBAC, Case
from tests.safety.world import account, collection, person

AREA = "grants"
RBAC_API = "rbac.authorization.k8s.io/v1"
Spoil = Callable[[list[Any]], Any]

WRONG_ROLES: dict[str, Spoil] = {
    "another verb": lambda o: o[0]["rules"][0].update(verbs=["get"]),
    "every verb": lambda o: o[0]["rules"][0].update(verbs=["*"]),
    "another resource": lambda o: o[0]["rules"][0].update(resources=["approvals"]),
    "every resource": lambda o: o[0]["rules"][0].update(resources=["*"]),
    "another group": lambda o: o[0]["rules"][0].update(apiGroups=["apps"]),
    "every group": lambda o: o[0]["rules"][0].update(apiGroups=["*"]),
    "every action": lambda o: o[0]["rules"][0].pop("resourceNames"),
    "two actions": lambda o: o[0]["rules"][0]["resourceNames"].append(f"restart.db.{OTHER_ID}"),
    "two rules": lambda o: o[0]["rules"].append(copy.deepcopy(o[0]["rules"][0])),
    "secrets beside it": lambda o: o[0]["rules"].append(
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    ),
    "no rule": lambda o: o[0].update(rules=[]),
    "free text": lambda o: o[0]["rules"][0].update(resourceNames=["anything"]),
    "another action's id": lambda o: o[0]["rules"][0].update(resourceNames=[f"restart.web.{ID}"]),
    "a negative number": lambda o: o[0]["rules"][0].update(resourceNames=[f"scale.web.-1.{OTHER_ID}"]),
    "a name of its own": lambda o: o[0]["metadata"].update(name="innocent"),
    "no action's id": lambda o: o[0]["metadata"].update(name="iirp-grant-x"),
}
WRONG_BINDINGS: dict[str, Spoil] = {
    "to a person": lambda o: o[1].update(
        subjects=[{"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"}]
    ),
    "to a group": lambda o: o[1].update(
        subjects=[{"kind": "Group", "name": "system:authenticated", "apiGroup": "rbac.authorization.k8s.io"}]
    ),
    "to the approval controller": lambda o: o[1]["subjects"][0].update(name="iirp-approval"),
    "to another namespace's": lambda o: o[1]["subjects"][0].update(namespace="default"),
    "to two": lambda o: o[1]["subjects"].append({"kind": "ServiceAccount", "name": "default", "namespace": "default"}),
    "to nobody": lambda o: o[1].update(subjects=[]),
    "of another Role": lambda o: o[1]["roleRef"].update(name=f"iirp-grant-{OTHER_ID}"),
    "of a ClusterRole": lambda o: o[1]["roleRef"].update(kind="ClusterRole", name="iirp-execution-target"),
    "of cluster-admin": lambda o: o[1]["roleRef"].update(kind="ClusterRole", name="cluster-admin"),
    "named otherwise": lambda o: o[1]["metadata"].update(name="innocent"),
}


def cases(namespace: str, approval: Who, executor: Who) -> Iterator[Case]:
    """``approval`` and ``executor`` hold real tokens; a grant to restart ``web`` is there already."""
    yield from _wrong(namespace, approval)
    yield from _foreign(namespace, executor)
    yield from _beyond(namespace, approval)


def _wrong(namespace: str, approval: Who) -> Iterator[Case]:
    for name, spoil in WRONG_ROLES.items():
        objects = grant_objects(namespace, name=f"iirp-grant-{OTHER_ID}", resource_name=f"restart.web.{OTHER_ID}")
        spoil(objects)
        body = objects[0]
        yield Case(
            f"{AREA}: spelled wrongly", f"Role, {name}", "POST", collection(body), body, who=approval, by=(GRANTS, RBAC)
        )
    for name, spoil in WRONG_BINDINGS.items():
        objects = grant_objects(namespace)
        spoil(objects)
        body = objects[1]
        yield Case(
            f"{AREA}: spelled wrongly",
            f"RoleBinding {name}",
            "POST",
            collection(body),
            body,
            who=approval,
            by=(GRANTS, RBAC),
        )


def _foreign(namespace: str, executor: Who) -> Iterator[Case]:
    """A right grant by anybody else, the executor and the cluster's administrator included."""
    others = [executor, ADMIN, person("root", "system:masters"), person("adam"), person("eve"), person("mallory")]
    others += [account(f"iirp-{name}") for name in ("policy", "incident", "feedback", "detection", "rca")]
    objects = grant_objects(namespace, name=f"iirp-grant-{OTHER_ID}", resource_name=f"restart.web.{OTHER_ID}")
    for who in others:
        for body in objects:
            yield Case(
                f"{AREA}: by somebody else",
                f"create {body['kind']}",
                "POST",
                collection(body),
                body,
                who=who,
                by=(GRANTS, RBAC),
            )
        for plural in ("roles", "rolebindings"):
            path = path_of(RBAC_API, namespace, plural, f"iirp-grant-{ID}")
            yield Case(
                f"{AREA}: by somebody else", f"widen {plural}", "PATCH", path,
                {"rules": []} if plural == "roles" else {},
                who=who, by=(GRANTS, RBAC),
            )  # fmt: skip
    # Under another name the API server's own rule holds: nobody grants what they do not hold.
    rule = {"apiGroups": ["iirp.io"], "resources": ["actions"], "verbs": ["perform"]}
    for who in (executor, person("adam"), person("eve")):
        body = role(namespace, "people", rule)
        yield Case(
            f"{AREA}: by somebody else",
            "perform under another name",
            "POST",
            collection(body),
            body,
            who=who,
            by=(RBAC,),
        )


def _beyond(namespace: str, approval: Who) -> Iterator[Case]:
    """The approval controller's token is no way to a workload or to rights of any other kind."""
    asked = {
        "restart": ("PATCH", path_of("apps/v1", namespace, "deployments", "web"), json.loads(restart())),
        "delete a Deployment": ("DELETE", path_of("apps/v1", namespace, "deployments", "web"), None),
        "read secrets": ("GET", path_of("v1", namespace, "secrets"), None),
        "read pods": ("GET", path_of("v1", namespace, "pods"), None),
        "exec": ("POST", path_of("v1", namespace, "pods", "x", "exec"), None),
        "change a grant": ("PATCH", path_of(RBAC_API, namespace, "roles", f"iirp-grant-{ID}"), {"rules": []}),
        "a ClusterRole": ("POST", path_of(RBAC_API, "", "clusterroles"), {}),
        "a ClusterRoleBinding": ("POST", path_of(RBAC_API, "", "clusterrolebindings"), {}),
        "bind admin": ("POST", path_of(RBAC_API, namespace, "rolebindings"), binding(namespace, "x", "admin", "eve")),
        "remove people's Role": ("DELETE", path_of(RBAC_API, namespace, "roles", "editor"), None),
        "a grant elsewhere": ("POST", path_of(RBAC_API, SYSTEM, "roles"), grant_objects(SYSTEM)[0]),
        "token of the executor": ("POST", path_of("v1", SYSTEM, "serviceaccounts", "iirp-execution", "token"), {}),
        "decide": (
            "PATCH",
            path_of("iirp.io/v1alpha1", namespace, "approvals", "x"),
            {"metadata": {"annotations": {"iirp.io/decision": "approve"}}},
        ),
        "a plan's status": ("PATCH", path_of("iirp.io/v1alpha1", namespace, "actionplans", "x", "status"), {}),
    }
    for name, (method, path, body) in asked.items():
        yield Case(
            f"{AREA}: the approval controller beyond them", name, method, path, body, who=approval, by=(GRANTS, RBAC)
        )

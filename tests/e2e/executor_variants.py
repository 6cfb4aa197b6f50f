"""What a thief of the executor's token might make of a grant for a rollback; all of it must be refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

Template = dict[str, Any]


def _container(template: Template) -> dict[str, Any]:
    found: dict[str, Any] = template["spec"]["containers"][0]
    return found


ROLLBACK_TEMPLATES: dict[str, Callable[[Template], Any]] = {
    "another-image": lambda t: _container(t).update(image="example.invalid/evil:1"),
    "extra-environment": lambda t: _container(t).update(env=[{"name": "A", "value": "b"}]),
    "secret-environment": lambda t: _container(t).update(envFrom=[{"secretRef": {"name": "s"}}]),
    "command": lambda t: _container(t).update(command=["sh", "-c", "id"]),
    "arguments": lambda t: _container(t).update(args=["--debug"]),
    "run-as-root": lambda t: _container(t).update(securityContext={"runAsUser": 0}),
    "privileged": lambda t: _container(t).update(securityContext={"privileged": True}),
    "no-limits": lambda t: _container(t).update(resources={"limits": {"memory": "64Gi"}}),
    "second-container": lambda t: t["spec"]["containers"].append({"name": "two", "image": "example.invalid/evil:1"}),
    "init-container": lambda t: t["spec"].update(initContainers=[{"name": "i", "image": "example.invalid/evil:1"}]),
    "service-account": lambda t: t["spec"].update(serviceAccountName="default"),
    "host-network": lambda t: t["spec"].update(hostNetwork=True),
    "host-pid": lambda t: t["spec"].update(hostPID=True),
    "host-path": lambda t: t["spec"].update(volumes=[{"name": "v", "hostPath": {"path": "/"}}]),
    "secret-volume": lambda t: t["spec"].update(volumes=[{"name": "v", "secret": {"secretName": "s"}}]),
    "node-name": lambda t: t["spec"].update(nodeName="node-1"),
    "tolerations": lambda t: t["spec"].update(tolerations=[{"operator": "Exists"}]),
    "priority": lambda t: t["spec"].update(priorityClassName="system-node-critical"),
    "grace-period": lambda t: t["spec"].update(terminationGracePeriodSeconds=0),
    "extra-label": lambda t: t["metadata"]["labels"].update(extra="x"),
    "extra-annotation": lambda t: (
        t["metadata"].setdefault("annotations", {}).update({"sidecar.istio.io/inject": "true"})
    ),
    "changed-annotation": lambda t: t["metadata"]["annotations"].update(build="8"),
    "no-annotations": lambda t: t["metadata"].pop("annotations"),
}
"""Each differs in one point from the template that was granted."""


def spoiled(template: Template, change: Callable[[Template], Any]) -> Template:
    """A copy with that one change."""
    result = copy.deepcopy(template)
    change(result)
    return result

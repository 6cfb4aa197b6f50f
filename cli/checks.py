"""What `iirp doctor` looks at. Each check asks one thing and says, where it is not well, what to do next."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cli.plugin.kube import Kubectl, PluginError

__all__ = ["Finding", "Level", "check_cluster"]

POLICIES = (
    "iirp-actionplans", "iirp-actionpolicies", "iirp-approvals", "iirp-executor", "iirp-executor-jobs",
    "iirp-executor-rollback", "iirp-executor-stop", "iirp-grants", "iirp-incidents", "iirp-job-names",
    "iirp-rcareports",
)  # fmt: skip
KINDS = ("incidents", "rcareports", "actionplans", "approvals", "actionpolicies")
CONTROLLERS = ("detection", "incident", "rca", "policy", "approval", "execution", "feedback")
DECISIONS = "iirp-decisions"
ASK = "ask somebody who may read admission policies"
INSTALL = "helm upgrade --install iirp charts/iirp; the executor refuses to act without them"
_NO_KUBECONFIG = "localhost:8080"
"""Where kubectl looks when it has been told nothing."""
MINIMUM = (1, 30)
"""First Kubernetes version whose ValidatingAdmissionPolicy is v1."""


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; ``advice`` is the next step, a command where there is one."""

    name: str
    level: Level
    message: str
    advice: str = ""


Check = Callable[[Kubectl, str, str], Iterable[Finding]]


def check_cluster(kubectl: Kubectl, namespace: str, platform: str) -> Iterator[Finding]:
    """All checks in the order in which one needs the other; stops where nothing further can be known.

    Args:
        namespace: whose incidents the person looks at.
        platform: namespace of the platform.
    """
    server = _server(kubectl)
    yield server
    if server.level is Level.FAIL:
        return
    for check in (_kinds, _policies, _controllers, _actions, _permissions):
        yield from check(kubectl, namespace, platform)


def _server(kubectl: Kubectl) -> Finding:
    try:
        seen = json.loads(kubectl.run("version", "-o", "json"))["serverVersion"]
    except (PluginError, KeyError) as error:
        told = str(error).splitlines()[-1]
        advice = "kubectl config get-contexts; then --context, or sign in again"
        if _NO_KUBECONFIG in told:
            advice = "export KUBECONFIG=FILE, or --kubeconfig; of a development cluster: iirp cluster kubeconfig"
        return Finding("API server", Level.FAIL, told, advice)
    number = (int(seen["major"]), int("".join(char for char in seen["minor"] if char.isdigit())))
    if number < MINIMUM:
        text = f"{seen['gitVersion']}: the admission policies need 1.30 or newer"
        return Finding("API server", Level.FAIL, text, "upgrade the cluster")
    return Finding("API server", Level.OK, seen["gitVersion"])


def _kinds(kubectl: Kubectl, _namespace: str, _platform: str) -> Iterator[Finding]:
    served = kubectl.run("api-resources", "--api-group=iirp.io", "-o", "name").split()
    missing = [kind for kind in KINDS if f"{kind}.iirp.io" not in served]
    if missing:
        yield Finding(
            "CRDs", Level.FAIL, f"not served: {', '.join(missing)}", "helm upgrade --install iirp charts/iirp"
        )
    else:
        yield Finding("CRDs", Level.OK, "all five kinds of iirp.io are served")


def _policies(kubectl: Kubectl, _namespace: str, _platform: str) -> Iterator[Finding]:
    name = "validatingadmissionpolicies"
    try:
        missing = [item for item in POLICIES if item not in _bound(kubectl, "validatingadmissionpolicybinding")]
    except PluginError as error:
        yield Finding(name, Level.WARN, _first(error), ASK)
    else:
        if missing:
            yield Finding(name, Level.FAIL, f"not in force: {', '.join(missing)}", INSTALL)
        else:
            yield Finding(name, Level.OK, f"{len(POLICIES)} in force")
    yield _decisions(kubectl)


def _decisions(kubectl: Kubectl) -> Finding:
    """From Kubernetes 1.36 on a policy makes an entry of an annotated decision, before that a webhook."""
    denied = ""
    for kind, what in (("mutatingadmissionpolicybinding", "a policy"), ("mutatingwebhookconfiguration", "a webhook")):
        try:
            if DECISIONS in _bound(kubectl, kind):
                return Finding("decisions", Level.OK, f"made entries by {what}")
        except PluginError as error:  # of a kind that this version does not serve, or that we may not list
            denied = denied or ("" if "have a resource type" in str(error) else _first(error))
    if denied:
        return Finding("decisions", Level.WARN, denied, ASK)
    return Finding("decisions", Level.FAIL, f"neither policy nor webhook {DECISIONS} is in force", INSTALL)


def _bound(kubectl: Kubectl, kind: str) -> set[str]:
    return {_short(line) for line in kubectl.run("get", kind, "-o", "name").split()}


def _controllers(kubectl: Kubectl, _namespace: str, platform: str) -> Iterator[Finding]:
    try:
        answer = json.loads(
            kubectl.run("get", "deployments", f"--namespace={platform}", "-l", "iirp.io/controller", "-o", "json")
        )
    except PluginError as error:
        yield Finding("controllers", Level.WARN, _first(error), f"ask somebody who may read {platform}")
        return
    ready = {
        body["metadata"]["labels"]["iirp.io/controller"]: int(body.get("status", {}).get("readyReplicas", 0))
        for body in answer["items"]
    }
    yield from (_controller(name, ready.get(name), platform) for name in CONTROLLERS)


def _controller(name: str, ready: int | None, platform: str) -> Finding:
    label = f"controller {name}"
    if ready is None:
        return Finding(label, Level.FAIL, f"not in {platform}", "helm upgrade --install iirp charts/iirp")
    if ready == 0:
        return Finding(label, Level.FAIL, "not ready", f"kubectl logs -n {platform} deploy/iirp-{name} --tail=50")
    return Finding(label, Level.OK, "ready")


def _actions(kubectl: Kubectl, namespace: str, platform: str) -> Iterator[Finding]:
    """Whether anything may be done in the namespace at all, and whether somebody has stopped everything."""
    try:
        roles = json.loads(kubectl.run("get", "rolebindings", f"--namespace={namespace}", "-o", "json"))["items"]
        stop = json.loads(kubectl.run("get", "namespace", platform, "-o", "json"))["metadata"].get("annotations", {})
    except PluginError as error:
        yield Finding(f"actions in {namespace}", Level.WARN, _first(error))
        return
    executor = {"kind": "ServiceAccount", "name": "iirp-execution", "namespace": platform}
    opted = any(executor.items() <= item.items() for role in roles for item in role.get("subjects") or ())
    if opted:
        yield Finding(f"actions in {namespace}", Level.OK, "opted in: approved actions can run")
    else:
        advice = f"iirp grant {namespace} | kubectl apply -f -"
        yield Finding(
            f"actions in {namespace}", Level.WARN, "not opted in: incidents are shown, nothing is done", advice
        )
    if stop.get("iirp.io/emergency-stop"):
        text = f"all actions are stopped: {stop['iirp.io/emergency-stop']}"
        yield Finding("emergency stop", Level.WARN, text, f"kubectl annotate ns {platform} iirp.io/emergency-stop-")


def _permissions(kubectl: Kubectl, namespace: str, _platform: str) -> Iterator[Finding]:
    user = _me(kubectl)
    for verb, resource, role, text in (
        ("list", "incidents.iirp.io", "iirp-viewer", "see incidents"),
        ("create", "actionplans.iirp.io", "iirp-operator", "propose plans"),
        ("patch", "approvals.iirp.io", "iirp-approver", "reach approvals"),
        ("approve", "approvals.iirp.io", "iirp-approver", "approve and reject"),
    ):
        label = f"you may {text}"
        if _allowed(kubectl, verb, resource, namespace):
            yield Finding(label, Level.OK, f"{user} in {namespace}")
        else:
            level = Level.FAIL if verb == "list" else Level.WARN
            advice = f"kubectl create rolebinding {role}-{namespace} -n {namespace} --clusterrole={role} --user={user}"
            yield Finding(label, level, f"{user} lacks {verb} on {resource} in {namespace}", advice)


def _allowed(kubectl: Kubectl, verb: str, resource: str, namespace: str) -> bool:
    try:
        return kubectl.run("auth", "can-i", verb, resource, f"--namespace={namespace}").strip() == "yes"
    except PluginError:
        return False  # `can-i` says no by its exit code


def _me(kubectl: Kubectl) -> str:
    try:
        answer: dict[str, Any] = json.loads(kubectl.run("auth", "whoami", "-o", "json"))
        return str(answer["status"]["userInfo"]["username"])
    except (PluginError, KeyError):
        return "USER"


def _short(line: str) -> str:
    return line.rsplit("/", 1)[-1]


def _first(error: PluginError) -> str:
    return str(error).splitlines()[0]

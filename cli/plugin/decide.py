"""Approve, reject, modify: writes that the API server judges. Nothing here decides whether somebody may."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Sequence
from typing import Any

from cli.plugin.kube import INCIDENT_LABEL, Body, Chain, Kubectl, PluginError, labelled
from cli.plugin.story import pending, target

__all__ = ["decide", "find_approval", "find_plan", "instead", "submit", "superseding", "with_parameters"]

_RESTARTS = {"Deployment", "StatefulSet", "DaemonSet"}
_STARTED = {"Executing", "Executed", "Verified", "Ineffective", "Inconclusive", "Failed"}


def find_approval(kubectl: Kubectl, name: str) -> Body:
    """The Approval of that name, else the one that an incident of that name waits for. Raises PluginError."""
    try:
        return kubectl.get("approvals", name)
    except PluginError as error:
        if "NotFound" not in str(error):
            raise
    waiting = pending(kubectl.chain(name))
    if not waiting:
        raise PluginError(f"nothing of incident {name} waits for a decision")
    if len(waiting) > 1:
        names = ", ".join(body["metadata"]["name"] for body in waiting)
        raise PluginError(f"several approvals wait, name one of: {names}")
    return waiting[0]


def decide(kubectl: Kubectl, approval: Body, verdict: str, reason: str) -> None:
    """One annotation, under the person's own name. Raises PluginError with the next step when it is refused."""
    name, namespace = approval["metadata"]["name"], approval["metadata"]["namespace"]
    annotations = (f"iirp.io/decision={verdict}", *((f"iirp.io/reason={reason}",) if reason else ()))
    try:
        kubectl.run("annotate", f"approvals.iirp.io/{name}", "--namespace", namespace, *annotations)
    except PluginError as error:
        text = str(error)
        if "forbidden" in text.lower() or ("approve" in text and "verb" in text):
            text += (
                f"\nDeciding needs the ClusterRole iirp-approver in {namespace}. Somebody who may grant it:\n"
                f"  kubectl create rolebinding NAME-approves -n {namespace} --clusterrole=iirp-approver --user=NAME"
            )
        raise PluginError(text, error.code) from error


def find_plan(kubectl: Kubectl, name: str) -> tuple[Body, Chain]:
    """The plan of that name, or the newest of an incident of that name, and its chain. Raises PluginError."""
    try:
        plan = kubectl.get("actionplans", name)
    except PluginError as error:
        if "NotFound" not in str(error):
            raise
        chain = kubectl.chain(name)
        if not chain.plans:
            raise PluginError(f"incident {name} has no plan yet") from error
        return chain.plans[0], chain
    return plan, kubectl.chain(labelled(plan) or plan["spec"]["incidentRef"]["name"])


def instead(plan: Body, replicas: int | None) -> list[Body]:
    """Another action on the first one's target: a scale to ``replicas``, or a restart where that is None.

    Raises:
        PluginError: there is no such action for the target's kind.
    """
    first = plan["spec"]["actions"][0]
    kind, verb = first["target"]["kind"], "Restart" if replicas is None else "Scale"
    if kind not in ({"Deployment", "StatefulSet"} if replicas is not None else _RESTARTS):
        raise PluginError(f"a {kind} cannot be {'restarted' if replicas is None else 'scaled'}; see --set")
    action = {"id": first["id"], "type": f"{verb}{kind}", "target": first["target"]}
    return [action | ({"scale": {"replicas": replicas}} if replicas is not None else {})]


def with_parameters(plan: Body, pairs: Sequence[str], action_id: str) -> list[Body]:
    """The plan's own actions, one of them with other parameters: ``replicas=3``.

    Args:
        pairs: KEY=VALUE; KEY is a parameter that the action has already.
        action_id: which action; empty where one alone has these parameters.

    Raises:
        PluginError: no action, or more than one, has such a parameter, or the value is not of its kind.
    """
    actions: list[Body] = copy.deepcopy(plan["spec"]["actions"])
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise PluginError(f"--set {pair}: say KEY=VALUE, for example replicas=3", 2)
        found = [
            group for item in actions if action_id in ("", item["id"]) for group in _parameters(item) if key in group
        ]
        if len(found) != 1:
            known = sorted({name for item in actions for group in _parameters(item) for name in group})
            few = f"its parameters: {', '.join(known) or 'none'}" if not found else "say which with --action ID"
            raise PluginError(f"--set {key}: {'no action' if not found else 'more than one action'} has it; {few}", 2)
        if isinstance(found[0][key], int) and not re.fullmatch(r"[0-9]{1,6}", value):
            raise PluginError(f"--set {pair}: {key} is a number", 2)
        found[0][key] = int(value) if isinstance(found[0][key], int) else value
    return actions


def superseding(plan: Body, chain: Chain, me: str, actions: list[Body]) -> Body:
    """A plan in place of ``plan`` with other actions; approvals start anew, and ``me`` cannot approve it.

    Raises:
        PluginError: the plan has started, or would be the same.
    """
    if (plan.get("status") or {}).get("state") in _STARTED:
        raise PluginError(f"{plan['metadata']['name']} has started already; it cannot be changed any more")
    if actions == plan["spec"]["actions"]:
        raise PluginError("that is what the plan says already")
    spec = copy.deepcopy(plan["spec"])
    spec |= {
        "actions": actions,
        "requestedBy": me,
        "supersedes": {"name": plan["metadata"]["name"], "uid": plan["metadata"]["uid"]},
        "summary": "; ".join(_summary(action) for action in actions)[:300],
        "expectedImpact": f"changed by {me}"[:300],
    }
    spec.pop("rollback", None)
    spec.pop("onBehalfOf", None)  # an agent's plan becomes ours: only the MCP server may speak for others
    return _child(chain, spec)


def submit(kubectl: Kubectl, plan: Body, *, dry_run: bool) -> Body:
    """Create the plan, or have the API server only say what it would do."""
    flags: Sequence[str] = ("--dry-run=server",) if dry_run else ()
    created: Body = json.loads(kubectl.run("create", "-f", "-", *flags, "-o", "json", stdin=json.dumps(plan)))
    return created


def _child(chain: Chain, spec: dict[str, Any]) -> Body:
    """An ActionPlan of the incident, as the incident controller makes them: owned, labelled, numbered."""
    incident = chain.incident["metadata"]
    owner = {
        "apiVersion": "iirp.io/v1alpha1", "kind": "Incident", "name": incident["name"], "uid": incident["uid"],
        "controller": True, "blockOwnerDeletion": False,
    }  # fmt: skip
    metadata = {
        "name": _next_name(incident["name"], chain.plans),
        "namespace": incident["namespace"],
        "labels": {INCIDENT_LABEL: incident["name"]},
        "ownerReferences": [owner],
    }
    return {"apiVersion": "iirp.io/v1alpha1", "kind": "ActionPlan", "metadata": metadata, "spec": spec}


def _parameters(action: Body) -> list[dict[str, Any]]:
    """The parameter objects of an action: everything structured in it besides its target."""
    return [value for key, value in action.items() if key != "target" and isinstance(value, dict)]


def _summary(action: Body) -> str:
    verb = re.sub(r"(?<=[a-z])(?=[A-Z]).*", "", action["type"])
    scale = action.get("scale")
    return f"{verb} {target(action['target'])}" + (f" to {scale['replicas']}" if scale else "")


def _next_name(incident: str, plans: Sequence[Body]) -> str:
    pattern = re.compile(re.escape(incident) + r"-([0-9]{1,6})")
    numbers = [int(found[1]) for plan in plans if (found := pattern.fullmatch(plan["metadata"]["name"]))]
    return f"{incident}-{max(numbers, default=0) + 1}"

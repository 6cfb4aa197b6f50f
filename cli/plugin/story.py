"""What an incident looks like in a terminal. Pure: objects in, text out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from cli.plugin.kube import Body, Chain
from cli.plugin.words import age, clock, harmless, moment, table, when

__all__ = ["incidents", "pending", "show", "timeline"]

_ENDED = {"Resolved", "Recovered", "Closed"}


def incidents(bodies: Iterable[Body], now: datetime, *, namespaces: bool, ended: bool) -> str:
    """A table of incidents, newest first; those that have ended only when asked for."""
    shown = [body for body in bodies if ended or _status(body).get("state") not in _ENDED]
    head = ["NAME", "STATE", "SEV", "TYPE", "TARGET", "AGE", "CAUSE"]
    rows = [
        [
            *([body["metadata"]["namespace"]] if namespaces else []),
            body["metadata"]["name"],
            _status(body).get("state", "New"),
            _status(body).get("severity", body["spec"]["severity"]),
            body["spec"]["type"],
            target(body["spec"]["target"]),
            age(moment(body["spec"]["startedAt"]), now),
            _status(body).get("cause", ""),
        ]
        for body in reversed(shown)
    ]
    if not rows:
        return "No incidents." if ended else "No open incidents. (--all shows those that have ended)"
    return table([*(["NAMESPACE"] if namespaces else []), *head], rows)


def timeline(incident: Body, *, local: bool) -> str:
    """One line per entry, oldest first."""
    entries = _status(incident).get("timeline") or ()
    zone = "local time" if local else "UTC"
    lines = [f"{_title(incident)}   ({zone})"]
    for entry in entries:
        actor = f"  ({harmless(entry['actor'])})" if entry.get("actor") else ""
        lines.append(
            f" {clock(moment(entry['at']), local=local)}  {harmless(entry['source']):<9} "
            f"{harmless(entry['message'])}{actor}"
        )
    return "\n".join([*lines, *([] if entries else [" nothing yet"])])


def show(chain: Chain, now: datetime) -> str:
    """What is wrong, why, what is proposed, who decides, and what came of it."""
    parts = [_what(chain.incident, now)]
    parts += [_why(report) for report in chain.reports[:1]]
    for plan in chain.plans[:1]:
        parts.append(_plan(plan))
        mine = [body for body in chain.approvals if body["spec"]["planRef"]["name"] == plan["metadata"]["name"]]
        parts += [_approval(body, now) for body in mine[:1]]
    return "\n\n".join("\n".join(part) for part in parts)


def pending(chain: Chain) -> list[Body]:
    """Approvals that can still be decided, newest first."""
    return [body for body in chain.approvals if _status(body).get("state", "Pending") == "Pending"]


def target(ref: dict[str, Any]) -> str:
    """``deploy/payments``."""
    kinds = {"Deployment": "deploy", "StatefulSet": "sts", "DaemonSet": "ds", "ReplicaSet": "rs", "Service": "svc"}
    return f"{kinds.get(ref['kind'], str(ref['kind']).lower())}/{ref['name']}"


def _what(incident: Body, now: datetime) -> list[str]:
    spec, status = incident["spec"], _status(incident)
    harm = ", not harmful yet" if spec.get("predicted") else ""
    since = when(moment(spec["startedAt"]), now)
    lines = [_title(incident), f"  {spec['type']} of {target(spec['target'])}, began {since}{harm}"]
    lines += [f"  {harmless(spec['summary'])}"] if spec.get("summary") else []
    prediction = (status.get("detection") or {}).get("prediction")
    if prediction:
        lines.append(
            f"  {harmless(prediction['resource'])} runs out {when(moment(prediction['expectedAt']), now)} "
            f"({clock(moment(prediction['earliestAt']), local=False)}-"
            f"{clock(moment(prediction['latestAt']), local=False)} UTC)"
        )
    lines += [f"  verdict: {status['verdict']}"] if status.get("verdict") else []
    return lines


def _why(report: Body) -> list[str]:
    status = _status(report)
    lines = [f"Why   ({status.get('state', 'Pending')}{_method(status)})"]
    for cause in status.get("rootCauses") or ():
        mark = "refuted" if cause.get("refuted") else f"{cause['confidencePercent']} %"
        lines.append(f"  {mark:>7}  {harmless(cause['kind'])}: {harmless(cause['summary'])}")
        if cause.get("refuted"):
            lines += [f"           {harmless(item['result'])}" for item in cause.get("refuters", ()) if item["refuted"]]
            continue
        lines += [f"           + {harmless(item['summary'])}" for item in cause.get("evidence", ())]
    lines += [f"  missing: {harmless(line)}" for line in status.get("missingData") or ()]
    return lines


def _plan(plan: Body) -> list[str]:
    spec, status = plan["spec"], _status(plan)
    lines = [f"Plan {plan['metadata']['name']}   ({status.get('state', 'Proposed')})", f"  {harmless(spec['summary'])}"]
    lines += [f"  impact: {harmless(spec['expectedImpact'])}"] if spec.get("expectedImpact") else []
    lines += [f"  to undo: {harmless(spec['rollback'])}"] if spec.get("rollback") else []
    decision = status.get("decision")
    if decision:
        lines.append(f"  policy: {decision['tier']}: {harmless(decision['message'])}")
        lines += _rules(decision.get("rules", ()))
        lines += [_writer(item) for item in decision.get("writers", ())]
    for part in ("execution", "verification"):
        found = status.get(part)
        if found:
            word = found.get("phase") or found.get("verdict") or "measuring"
            lines.append(f"  {part}: {word}{_said(found)}")
    return lines


def _rules(rules: Sequence[Body]) -> list[str]:
    """Those that decided it; of the others how many there are."""
    matched = [rule for rule in rules if rule.get("matched", True)]
    others = len(rules) - len(matched)
    return [
        *(
            f"    {harmless(rule['policy'])}/{harmless(rule['rule'])}: {rule['tier']}, {harmless(rule['message'])}"
            for rule in matched
        ),
        *([f"    {others} more not matching"] if others else []),
    ]


def _writer(item: Body) -> str:
    """Who else writes a field that would change."""
    unsure = "" if item.get("certain", True) else ", not certain"
    return f"    {harmless(item['field'])}: {item['mode']}{unsure}: {harmless(item.get('message', ''))}"


def _approval(approval: Body, now: datetime) -> list[str]:
    spec, status = approval["spec"], _status(approval)
    name, namespace = approval["metadata"]["name"], approval["metadata"]["namespace"]
    state = status.get("state", "Pending")
    lines = [f"Approval {name}   ({state}{_said(status)})", f"  of {spec['planDigest']}"]
    lines.append(
        f"  asked by {harmless(spec['requestedBy'])}; has "
        f"{status.get('approvals') or '0/' + str(spec['requiredApprovals'])} approvals; "
        f"expires {when(moment(spec['expiresAt']), now)}"
    )
    for decision in spec.get("decisions", ()):
        reason = f": “{harmless(decision['reason'])}”" if decision.get("reason") else ""
        lines.append(f"  {decision['verdict']} by {harmless(decision['by'])}{reason}")
    if state == "Pending":
        lines += [f'  kubectl iirp {verb} {name} -n {namespace} --reason "…"' for verb in ("approve", "reject")]
    return lines


def _title(incident: Body) -> str:
    meta, status = incident["metadata"], _status(incident)
    severity = status.get("severity") or incident["spec"]["severity"]
    return f"{meta['namespace']}/{meta['name']}   {status.get('state', 'New')}   severity {severity}"


def _said(part: dict[str, Any]) -> str:
    return f": {harmless(part['message'])}" if part.get("message") else ""


def _method(status: dict[str, Any]) -> str:
    words = [harmless(status[key]) for key in ("method", "model") if status.get(key)]
    return f", {', '.join(words)}" if words else ""


def _status(body: Body) -> dict[str, Any]:
    found: dict[str, Any] = body.get("status") or {}
    return found


def now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)

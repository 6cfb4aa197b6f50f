"""The tools of the read-only endpoint: incidents, evidence, plans, audit. Each asks for the right to read just that."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

from controllers.audit.segments import logs_of
from controllers.kube.api import Kube
from controllers.kube.errors import NotFound
from controllers.kube.resources import resource_type
from controllers.mcp import answers
from controllers.mcp.access import Gate
from controllers.mcp.answers import Answer, answer
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.approval import Approval
from crds.v1alpha1.base import Resource
from crds.v1alpha1.incident import Incident
from crds.v1alpha1.labels import INCIDENT_LABEL
from crds.v1alpha1.rcareport import RCAReport

Namespace = Annotated[str, Field(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
Name = Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
READ_ONLY = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
MAX_LOG_BYTES = 64 * 1024 * 1024
"""Of each audit log, its newest part; older records are for `iirp replay`."""
MAX_LINE = 1 << 20


class Reading:
    """Tools over the API server's objects, and over the audit logs where they are mounted."""

    def __init__(self, kube: Kube, gate: Gate, audit_dir: Path | None) -> None:
        self._kube = kube
        self._gate = gate
        self._audit_dir = audit_dir

    def register(self, server: MCPServer[Any]) -> None:
        """Add the tools."""
        for tool in (
            self.list_incidents, self.get_incident, self.get_evidence, self.list_plans, self.get_plan, self.get_audit,
        ):  # fmt: skip
            server.add_tool(tool, annotations=READ_ONLY)

    def list_incidents(
        self, namespace: Namespace, state: Annotated[str, Field(max_length=32)] = "", limit: int = 20
    ) -> Answer:
        """Incidents of a namespace, newest first; ``state`` such as Open, AwaitingApproval or Resolved narrows it."""
        self._gate.admit("list_incidents", "list", resource_type(Incident), namespace)
        found = self._kube.list_all(Incident, namespace)
        rows = [row for row in map(answers.incident_row, _newest(found)) if state in ("", row["state"])]
        return answer(incidents=rows[: max(1, min(limit, answers.MAX_ITEMS))], total=len(rows))

    def get_incident(self, namespace: Namespace, name: Name) -> Answer:
        """One incident: what is wrong, since when, what it affects, its timeline and its present state."""
        self._gate.admit("get_incident", "get", resource_type(Incident), namespace, name)
        return answer(incident=answers.whole(self._get(Incident, namespace, name)))

    def get_evidence(self, namespace: Namespace, incident: Name) -> Answer:
        """Root causes of an incident, ranked: the evidence for each, what would refute it, and queries to run again."""
        self._gate.admit("get_evidence", "list", resource_type(RCAReport), namespace)
        found = self._kube.list_all(RCAReport, namespace, labels=f"{INCIDENT_LABEL}={incident}")
        return answer(reports=[answers.report(item) for item in _newest(found)[:2]])

    def list_plans(self, namespace: Namespace, incident: Annotated[str, Field(max_length=253)] = "") -> Answer:
        """Action plans of a namespace or of one incident: what is proposed, its tier, state and digest."""
        self._gate.admit("list_plans", "list", resource_type(ActionPlan), namespace)
        found = [p for p in self._kube.list_all(ActionPlan, namespace) if incident in ("", p.spec.incident_ref.name)]
        return answer(plans=[answers.plan_row(plan) for plan in _newest(found)], total=len(found))

    def get_plan(self, namespace: Namespace, name: Name) -> Answer:
        """One plan: its actions, policy's decision and why, who else writes what it changes, approvals, results."""
        self._gate.admit("get_plan", "get", resource_type(ActionPlan), namespace, name)
        plan = self._get(ActionPlan, namespace, name)
        approval = self._kube.find(Approval, namespace, name)
        own = approval if approval is not None and approval.spec.plan_ref.uid == plan.metadata.uid else None
        return answer(plan=answers.plan_whole(plan, own))

    def get_audit(self, namespace: Namespace, incident: Name, limit: int = 30) -> Answer:
        """Recorded decisions about an incident, newest last: when, by which controller, what was decided, and the
        record's hash in the chain. Their inputs are in the log itself (`iirp replay`)."""
        self._gate.admit("get_audit", "get", resource_type(Incident), namespace, incident)
        if self._audit_dir is None:
            raise ToolError(
                "no audit log is mounted here (chart value audit.volume); the plan's status says what was decided"
            )
        found = sorted(_records(self._audit_dir, namespace, incident), key=lambda record: str(record["at"]))
        return answer(records=found[-max(1, min(limit, answers.MAX_ITEMS)) :], total=len(found))

    def _get(self, kind: type[Any], namespace: str, name: str) -> Any:
        try:
            return self._kube.get(kind, namespace, name)
        except NotFound as error:
            raise ToolError(f"there is no {kind.definition.kind} {name} in namespace {namespace}") from error


def _newest(found: list[Any]) -> list[Any]:
    def born(item: Resource) -> float:
        return item.metadata.creation_timestamp.timestamp() if item.metadata.creation_timestamp else 0.0

    return sorted(found, key=born, reverse=True)


def _records(directory: Path, namespace: str, incident: str) -> Iterator[Answer]:
    for files in logs_of([directory]).values():
        for line in _lines(files):
            if incident.encode() not in line:
                continue
            try:
                record = json.loads(line)
            except ValueError:
                continue  # the first line of the newest part may be a torn one
            about = record.get("about") or {}
            if record.get("incident") == incident and about.get("namespace") == namespace:
                yield {key: record.get(key) for key in ("at", "controller", "seq", "kind", "step", "hash")} | {
                    "about": about,
                    "decision": record.get("decision"),
                }


def _lines(files: list[Path]) -> Iterator[bytes]:
    """The newest ``MAX_LOG_BYTES`` of a log, newest file first."""
    left = MAX_LOG_BYTES
    for path in reversed(files):
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - left))
            while line := file.readline(MAX_LINE):
                yield line
        left -= size
        if left <= 0:
            return

"""The tools of the execute endpoint: propose a plan, and have the executor look at an approved one now.

Neither grants anything. A proposal is decided by policy and people like any other, and never runs by itself; carrying
out is the executor's, which reads everything again and holds the API server's grant. Nothing here takes a command, a
manifest or free text.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import Field

from controllers.kube.api import Kube
from controllers.kube.errors import AlreadyExists, NotFound
from controllers.kube.events import Recorder
from controllers.kube.resources import resource_type
from controllers.mcp import answers
from controllers.mcp.access import Gate
from controllers.mcp.answers import Answer, answer
from controllers.mcp.identity import MANAGER, Caller
from controllers.mcp.reading import Name, Namespace
from controllers.runtime.names import service_account
from crds.v1alpha1.actionplan import ActionPlan, ActionPlanSpec, PlanState
from crds.v1alpha1.actions import Action
from crds.v1alpha1.approval import Approval, ApprovalState
from crds.v1alpha1.base import LocalRef
from crds.v1alpha1.clip import clip
from crds.v1alpha1.incident import Incident, IncidentState
from crds.v1alpha1.labels import INCIDENT_LABEL
from crds.v1alpha1.rcareport import RCAReport, RootCause

ACCOUNT = "mcp-execute"
REQUESTED = "iirp.io/execute-requested"
REQUESTED_BY = "iirp.io/execute-requested-by"
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Actions = Annotated[list[Action], Field(min_length=1, max_length=4)]
MAX_OPEN = 5
"""Proposals for one incident that wait at once: people must be able to read them."""
OPEN = frozenset({None, PlanState.PROPOSED, PlanState.AWAITING_APPROVAL, PlanState.APPROVED, PlanState.EXECUTING})
ENDED = frozenset({IncidentState.RESOLVED, IncidentState.RECOVERED, IncidentState.CLOSED})
UNKNOWN_CAUSE = "Unknown"
TRIES = 5


class Executing:
    """Tools that ask; the API server, policy, people and the executor answer."""

    def __init__(self, kube: Kube, gate: Gate, events: Recorder, platform_namespace: str) -> None:
        self._kube = kube
        self._gate = gate
        self._events = events
        self._account = service_account(platform_namespace, ACCOUNT)

    def register(self, server: MCPServer[Any]) -> None:
        """Add the tools."""
        hints = ToolAnnotations(
            read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
        )
        server.add_tool(self.execute_plan, annotations=hints)
        hints = ToolAnnotations(
            read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False
        )
        server.add_tool(self.propose_plan, annotations=hints)

    def execute_plan(self, plan: Name, namespace: Namespace, digest: Digest) -> Answer:
        """Have the executor look at an approved plan now. Runs nothing that is not approved: the digest must be the
        decision's (see get_plan), the approval must hold, and the executor checks all of it again on live objects.
        Repeating it changes nothing; get_plan shows what came of it."""
        who = self._gate.admit("execute_plan", "execute", resource_type(ActionPlan), namespace, plan, changes=True)
        found = self._plan(namespace, plan)
        self._check_approved(found, digest)
        if found.status.execution is None:
            self._nudge(found, digest, who)
        state = found.status.state.value if found.status.state else "Proposed"
        asked = "the executor was asked to look now" if found.status.execution is None else "it has begun already"
        return answer(plan=plan, namespace=namespace, state=state, message=asked)

    def propose_plan(
        self,
        namespace: Namespace,
        incident: Name,
        actions: Actions,
        cause_id: Annotated[str, Field(max_length=64)] = "",
        supersedes: Annotated[str, Field(max_length=253)] = "",
        dry_run: bool = False,
    ) -> Answer:
        """Propose typed actions for an open incident. ``cause_id`` names a root cause of the incident's report (see
        get_evidence), ``supersedes`` a plan that this one replaces. Policy decides who must approve; you never can.
        ``dry_run`` has the API server check it and creates nothing."""
        who = self._gate.admit("propose_plan", "create", resource_type(ActionPlan), namespace, changes=True)
        about = self._incident(namespace, incident)
        others = [
            p for p in self._kube.list_all(ActionPlan, namespace) if p.spec.incident_ref.uid == about.metadata.uid
        ]
        waiting = [p for p in others if p.spec.on_behalf_of and p.status.state in OPEN]
        if len(waiting) >= MAX_OPEN and not supersedes:
            raise ToolError(f"{len(waiting)} proposals for {incident} wait already; supersede one of them")
        spec = self._spec(about, others, actions, who, cause_id, supersedes)
        made = self._create(about, others, spec, dry_run=dry_run)
        would = "would be created" if dry_run else "created; policy decides who must approve, and you never can"
        return answer(plan=answers.plan_row(made), message=would)

    def _check_approved(self, plan: ActionPlan, digest: str) -> None:
        name, decision = plan.metadata.name, plan.status.decision
        if decision is None:
            raise ToolError(f"policy has not decided about {name} yet")
        if decision.plan_digest != digest:
            raise ToolError(f"{name} is about {decision.plan_digest}; ask about what you have read")
        approval = self._kube.find(Approval, plan.metadata.namespace, name)
        if approval is None or approval.spec.plan_ref.uid != plan.metadata.uid or approval.spec.plan_digest != digest:
            raise ToolError(f"nobody was asked to approve {name}: {decision.tier.value}: {decision.message}")
        if approval.status.state not in (ApprovalState.APPROVED, ApprovalState.USED):
            state = approval.status.state.value if approval.status.state else "Pending"
            raise ToolError(f"{name} is not approved: {state} ({approval.status.approvals or '0'} approvals)")

    def _nudge(self, plan: ActionPlan, digest: str, who: Caller) -> None:
        """Touch the plan: each change of it wakes the executor. The annotation says who asked, and proves nothing."""
        annotations = {REQUESTED: digest, REQUESTED_BY: who.username}
        if not annotations.items() <= plan.metadata.annotations.items():
            self._kube.patch_raw(
                resource_type(ActionPlan), plan.metadata.namespace, plan.metadata.name,
                {"metadata": {"annotations": annotations}}, manager=MANAGER, uid=plan.metadata.uid,
            )  # fmt: skip
        self._events.emit(plan, "Normal", "ExecuteRequested", f"by {who.username} through MCP")

    def _spec(
        self,
        about: Incident,
        others: list[ActionPlan],
        actions: list[Action],
        who: Caller,
        cause_id: str,
        replaced: str,
    ) -> ActionPlanSpec:
        report = self._report(about)
        cause = _cause(report, cause_id)
        summary = "; ".join(action.describe() for action in actions)
        return ActionPlanSpec(
            incident_ref=about.ref(),
            report_ref=report.ref() if report is not None and cause is not None else None,
            supersedes=_superseded(others, replaced),
            requested_by=self._account,
            on_behalf_of=who.username,
            cause_kind=cause.kind if cause is not None else UNKNOWN_CAUSE,
            cause=clip(ActionPlanSpec, "cause", cause.summary) if cause is not None else "",
            confidence_percent=cause.confidence_percent if cause is not None else 0,
            actions=actions,
            summary=clip(ActionPlanSpec, "summary", summary),
        )

    def _create(self, about: Incident, others: list[ActionPlan], spec: ActionPlanSpec, *, dry_run: bool) -> ActionPlan:
        first = _next_number(about.metadata.name, others)
        for number in range(first, first + TRIES):
            try:
                return self._kube.create(
                    ActionPlan,
                    about.metadata.namespace,
                    f"{about.metadata.name}-{number}",
                    spec,
                    manager=MANAGER,
                    labels={INCIDENT_LABEL: about.metadata.name},
                    owner=about,
                    dry_run=dry_run,
                )
            except AlreadyExists:
                continue
        raise ToolError("others create plans for this incident at this moment; try again")

    def _plan(self, namespace: str, name: str) -> ActionPlan:
        try:
            return self._kube.get(ActionPlan, namespace, name)
        except NotFound as error:
            raise ToolError(f"there is no ActionPlan {name} in namespace {namespace}") from error

    def _incident(self, namespace: str, name: str) -> Incident:
        try:
            found = self._kube.get(Incident, namespace, name)
        except NotFound as error:
            raise ToolError(f"there is no Incident {name} in namespace {namespace}") from error
        if found.status.state in ENDED:
            raise ToolError(f"{name} has ended ({found.status.state.value}); nothing is left to repair")
        return found

    def _report(self, about: Incident) -> RCAReport | None:
        """The diagnosis of the present episode: a fault that came back has one of its own."""
        ref = about.status.report_ref
        found = self._kube.find(RCAReport, about.metadata.namespace, ref.name) if ref is not None else None
        return found if ref is not None and found is not None and found.metadata.uid == ref.uid else None


def _cause(report: RCAReport | None, cause_id: str) -> RootCause | None:
    if not cause_id:
        return None
    causes = report.status.root_causes if report is not None else []
    found = next((cause for cause in causes if cause.id == cause_id and not cause.refuted), None)
    if found is None:
        known = ", ".join(cause.id for cause in causes if not cause.refuted) or "none"
        raise ToolError(f"the report has no standing root cause of that id; it has: {known}")
    return found


def _superseded(others: list[ActionPlan], name: str) -> LocalRef | None:
    if not name:
        return None
    found = next((plan for plan in others if plan.metadata.name == name), None)
    if found is None:
        raise ToolError("the incident has no plan of that name to supersede")
    if found.status.execution is not None:
        raise ToolError(f"{name} has begun already; it cannot be superseded")
    return found.ref()


def _next_number(incident: str, others: list[ActionPlan]) -> int:
    pattern = re.compile(re.escape(incident) + r"-([0-9]{1,6})")
    return max((int(found[1]) for p in others if (found := pattern.fullmatch(p.metadata.name))), default=0) + 1

"""Approve and reject on the page. The write carries the person's token; the API server judges it, not this server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, Response
from fastapi.responses import RedirectResponse

from analysis.kube import ApiServerError
from analysis.web.changes import Change
from analysis.web.guard import Person, own_form, person_router
from analysis.web.reader import valid_name
from analysis.web.sessions import Session
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.approval import Approval, ApprovalState, DecisionVerdict
from crds.v1alpha1.labels import INCIDENT_LABEL

if TYPE_CHECKING:
    from analysis.web.pages import Pages

__all__ = ["decision_routes"]

MAX_REASON_CHARS = 1024
"""As the API has it."""


def decision_routes(pages: Pages) -> APIRouter:
    """A form of its own, so that the incident's page may reload by itself while somebody writes."""
    router = person_router()

    @router.get("/incidents/{namespace}/{incident}/decide/{name}")
    async def form(session: Person, namespace: str, incident: str, name: str) -> Response:
        return await _show(pages, session, await _approval(pages, session, namespace, incident, name))

    @router.post("/incidents/{namespace}/{incident}/decide/{name}")
    async def decide(
        session: Person,
        namespace: str,
        incident: str,
        name: str,
        csrf: Annotated[str, Form()] = "",
        digest: Annotated[str, Form()] = "",
        verdict: Annotated[str, Form()] = "",
        reason: Annotated[str, Form()] = "",
    ) -> Response:
        own_form(session, csrf, "Nothing was decided")
        approval = await _approval(pages, session, namespace, incident, name)
        message = _refusal(approval, digest, verdict, reason)
        if message:
            return await _show(pages, session, approval, message, reason, 409 if digest else 400)
        try:
            await pages.reader.decide(session.token, namespace, name, DecisionVerdict(verdict), reason.strip())
        except ApiServerError as error:
            if error.status not in {403, 422}:
                raise
            return await _show(pages, session, approval, str(error), reason, 403)  # the admission policies' own words
        return RedirectResponse(f"/incidents/{namespace}/{incident}", 303, headers=pages.headers)

    return router


async def _approval(pages: Pages, session: Session, namespace: str, incident: str, name: str) -> Approval:
    """The Approval, if it belongs to that incident. Raises ApiServerError."""
    if not all(valid_name(part) for part in (namespace, incident, name)):
        raise ApiServerError("This is not an approval's name.", 404)
    approval = await pages.reader.approval(session.token, namespace, name)
    if approval.metadata.labels.get(INCIDENT_LABEL) != incident:
        raise ApiServerError(f"Approval {name} belongs to another incident.", 404)
    return approval


def _refusal(approval: Approval, digest: str, verdict: str, reason: str) -> str:
    """Why the form cannot be sent on; empty if it can. What may be decided by whom is the API server's business."""
    if digest != approval.spec.plan_digest:
        return "The plan is not the one that you were shown. Look again."
    if verdict not in set(DecisionVerdict):
        return "Say whether you approve or reject."
    if len(reason) > MAX_REASON_CHARS:
        return f"The reason is longer than {MAX_REASON_CHARS} characters."
    if verdict == DecisionVerdict.REJECT and not reason.strip():
        return "Say why you reject: it is part of the record."
    if approval.status.state not in {None, ApprovalState.PENDING} and verdict == DecisionVerdict.APPROVE:
        return "This is decided already."
    return ""


async def _show(
    pages: Pages, session: Session, approval: Approval, message: str = "", reason: str = "", status: int = 200
) -> Response:
    open_ = approval.status.state in {None, ApprovalState.PENDING}
    incident = approval.metadata.labels.get(INCIDENT_LABEL, "")
    plan, changes = await _plan_of(pages, session, approval) if open_ else (None, ())
    live = f"/incidents/{approval.metadata.namespace}/{incident}/live" if open_ and not message else ""
    return pages.render(
        "decide.html", session, status,
        approval=approval, incident=incident, message=message, reason=reason, open=open_, live=live,
        plan=plan, changes=changes,
    )  # fmt: skip


async def _plan_of(pages: Pages, session: Session, approval: Approval) -> tuple[ActionPlan | None, tuple[Change, ...]]:
    """The plan that is asked about and its changes; a person who may decide but not read plans decides without."""
    try:
        plan = await pages.reader.plan(session.token, approval.metadata.namespace, approval.spec.plan_ref.name)
    except ApiServerError:
        return None, ()
    return plan, await pages.previewer.changes(session.token, plan)

"""Modify on the page: another plan in place of one, created with the person's token. Approvals start anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from analysis.kube import ApiServerError
from analysis.web.changes import Change
from analysis.web.guard import Person, own_form, person_router
from analysis.web.proposals import ProposalError, Revision, choices, open_plan, revisions, superseding, wanted
from analysis.web.reader import Chain, valid_name
from analysis.web.sessions import Session
from crds.v1alpha1.actionplan import ActionPlan

if TYPE_CHECKING:
    from analysis.web.pages import Pages

__all__ = ["modify_routes"]

MAX_FIELDS = 32
_CLOSED = "Nothing can be changed here"


def modify_routes(pages: Pages) -> APIRouter:
    """First a look at what would change (`step=look`), then the plan itself (`step=propose`)."""
    router = person_router()

    @router.get("/incidents/{namespace}/{incident}/modify/{name}")
    async def form(request: Request, session: Person, namespace: str, incident: str, name: str) -> Response:
        try:
            chain, plan = await _plan(pages, session, namespace, incident, name)
            return await _show(pages, session, chain, plan, {})
        except ProposalError as error:
            return pages.tell(request, 409, _CLOSED, str(error))

    @router.post("/incidents/{namespace}/{incident}/modify/{name}")
    async def modify(request: Request, session: Person, namespace: str, incident: str, name: str) -> Response:
        given = await _fields(request)
        own_form(session, given.get("csrf"), "Nothing was proposed")
        try:
            chain, plan = await _plan(pages, session, namespace, incident, name)
        except ProposalError as error:
            return pages.tell(request, 409, _CLOSED, str(error))
        return await _answer(pages, session, chain, plan, given)

    return router


async def _answer(pages: Pages, session: Session, chain: Chain, plan: ActionPlan, given: dict[str, str]) -> Response:
    propose = given.get("step") == "propose"
    namespace, incident = chain.incident.metadata.namespace, chain.incident.metadata.name
    try:
        body = superseding(chain, plan, wanted(plan, given), session.username)
        made = await pages.reader.create_plan(session.token, namespace, body, dry_run=not propose)
        if propose:
            address = f"/incidents/{namespace}/{incident}#plan-{made.metadata.name}"
            return RedirectResponse(address, 303, headers=pages.headers)
        changes = await pages.previewer.changes(session.token, made)
        return await _show(pages, session, chain, plan, given, changes=changes, proposal=made)
    except ProposalError as error:
        return await _show(pages, session, chain, plan, given, 400, message=str(error))
    except ApiServerError as error:
        if error.status not in {403, 409, 422}:
            raise
        return await _show(pages, session, chain, plan, given, error.status, message=str(error))


async def _plan(pages: Pages, session: Session, namespace: str, incident: str, name: str) -> tuple[Chain, ActionPlan]:
    """The plan and its chain, while it can be replaced. Raises ApiServerError, ProposalError."""
    if not valid_name(name):
        raise ApiServerError("This is not a plan's name.", 404)
    chain = await pages.chain(session, namespace, incident)
    return chain, open_plan(chain, name)


async def _fields(request: Request) -> dict[str, str]:
    async with request.form(max_files=0, max_fields=MAX_FIELDS) as form:
        return {key: value for key, value in form.items() if isinstance(value, str)}


async def _show(
    pages: Pages,
    session: Session,
    chain: Chain,
    plan: ActionPlan,
    given: dict[str, str],
    status: int = 200,
    *,
    message: str = "",
    changes: tuple[Change, ...] = (),
    proposal: ActionPlan | None = None,
) -> Response:
    offered = {action.id: choices(action) for action in plan.spec.actions}
    earlier: dict[str, tuple[Revision, ...]] = {}
    for action in plan.spec.actions:
        found: list[dict[str, Any]] = []
        if action.target.kind == "Deployment":
            found = await pages.reader.replica_sets(session.token, plan.metadata.namespace)
        earlier[action.id] = revisions(found, action.target.uid)
    return pages.render(
        "modify.html", session, status,
        chain=chain, plan=plan, given=given, message=message, changes=changes, proposal=proposal, choices=offered,
        revisions=earlier, live="",
    )  # fmt: skip

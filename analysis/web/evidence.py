"""One claim of a report with the query behind it: what it returned then, and what it returns now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from fastapi import APIRouter, Response

from analysis.kube import ApiServerError
from analysis.rca.results import Language, language
from analysis.web.guard import Person, person_router
from analysis.web.plots import Shown
from analysis.web.reader import Chain
from crds.v1alpha1.rcareport import Evidence, Refuter

if TYPE_CHECKING:
    from analysis.web.pages import Pages

__all__ = ["evidence_routes"]

Role = Literal["shows", "refutes"]


def evidence_routes(pages: Pages) -> APIRouter:
    """`/incidents/NS/NAME/evidence/CAUSE/shows|refutes/NUMBER`: only queries that a report holds are ever run."""
    router = person_router()

    @router.get("/incidents/{namespace}/{name}/evidence/{cause}/{role}/{number}")
    async def evidence(session: Person, namespace: str, name: str, cause: str, role: Role, number: int) -> Response:
        chain = await pages.chain(session, namespace, name)
        claim = _claim(chain, cause, role, number)
        plot = None
        if pages.plotter and language(claim.query) is Language.PROMQL:
            plot = await pages.plotter.query(Shown(claim.query, claim.summary), chain.incident, datetime.now(tz=UTC))
        return pages.render("evidence.html", session, incident=chain.incident, claim=claim, role=role, plot=plot)

    return router


def _claim(chain: Chain, cause: str, role: Role, number: int) -> Evidence | Refuter:
    """That claim of the newest report, if there is a query behind it. Raises ApiServerError."""
    causes = chain.reports[0].status.root_causes if chain.reports else []
    found = next((one for one in causes if one.id == cause), None)
    claims: list[Evidence] | list[Refuter] = [] if found is None else found.evidence
    if found is not None and role == "refutes":
        claims = found.refuters
    if not 0 <= number < len(claims) or not claims[number].query:
        raise ApiServerError("The report has no such query.", 404)
    return claims[number]

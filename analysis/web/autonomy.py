"""What remedies have earned, from the plans that the person may see, by the policy controller's own pure code."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Response
from pydantic import ValidationError

from analysis.web.guard import ChosenNamespace, Person, person_router
from controllers.policy.history import Pair, outcomes
from controllers.policy.learning import Posterior, learn, shortfall
from crds.v1alpha1.actionplan import ActionPlan
from crds.v1alpha1.actionpolicy import Autonomy

if TYPE_CHECKING:
    from analysis.web.pages import Pages

__all__ = ["autonomy_routes"]


def autonomy_routes(pages: Pages) -> APIRouter:
    """`/autonomy`."""
    router = person_router()

    @router.get("/autonomy")
    async def autonomy(session: Person, namespace: ChosenNamespace, successes: int = 5, percent: int = 80) -> Response:
        asked = Autonomy(min_successes=_within(successes, 1, 100), min_success_percent=_within(percent, 0, 100))
        found = await pages.reader.everything(session.token, "actionplans", namespace)
        known = await asyncio.to_thread(_known, found)
        rows = [(pair, one, shortfall(asked, one)) for pair, one in known.items()]
        return pages.render("autonomy.html", session, rows=rows, asked=asked, namespace=namespace, plans=len(found))

    return router


def _known(found: list[dict[str, Any]]) -> dict[Pair, Posterior]:
    plans = []
    for item in found:
        try:
            plans.append(ActionPlan.from_wire(item))
        except ValidationError:
            continue
    return learn(outcomes(plans), datetime.now(tz=UTC))


def _within(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)

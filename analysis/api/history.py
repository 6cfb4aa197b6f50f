"""``/v1/history``: the incident controller writes, readers ask."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request
from sqlalchemy.exc import SQLAlchemyError

from analysis.api.gate import Caller
from analysis.api.problems import ProblemError
from analysis.contract import HistoryAnswer, HistoryRecord
from analysis.history.service import Historian
from analysis.history.store import History

router = APIRouter(prefix="/v1/history")

T = TypeVar("T")
Word = Annotated[str, Query(max_length=253)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Hours = Annotated[float, Query(gt=0, le=24 * 3660)]


@router.post("")
async def record(request: Request, body: HistoryRecord, username: Caller) -> HistoryAnswer:
    """Keep an incident's chain as it is now."""
    del username
    historian: Historian | None = request.app.state.services.historian
    if historian is None:
        return HistoryAnswer(kept=False)
    try:
        await historian.record(body)
    except SQLAlchemyError as error:
        raise ProblemError(503, "The history does not take it now", type(error).__name__) from error
    return HistoryAnswer(kept=True)


@router.get("/incidents")
async def incidents(
    request: Request, username: Caller, namespace: Word = "", target: Word = "", type: Word = "", state: Word = "",
    cluster: Word = "", hours: Hours = 24 * 30, limit: Limit = 100,
) -> list[dict[str, Any]]:  # fmt: skip
    """Incidents that began within the last ``hours``, newest first; of all clusters unless one is named."""
    del username
    since = _now(request) - timedelta(hours=hours)
    found = await _ask(
        request,
        lambda history: history.incidents(
            limit=limit, since=since, cluster=cluster, namespace=namespace, target_name=target, type=type, state=state
        ),
    )
    return [_wire(row) for row in found]


@router.get("/incidents/{namespace}/{name}")
async def story(request: Request, username: Caller, namespace: str, name: str, cluster: Word = "") -> dict[str, Any]:
    """One incident with its objects and its whole timeline."""
    del username
    found = await _ask(request, lambda history: history.story(namespace, name, cluster))
    if found is None:
        raise ProblemError(404, "The history has no such incident", f"{namespace}/{name}")
    return {
        **_wire(found),
        "timeline": [_wire(row) for row in found["timeline"]],
        "objects": [_wire(row) for row in found["objects"]],
    }


@router.get("/changes")
async def changes(
    request: Request, username: Caller, namespace: Word, target: Word = "", cluster: Word = "", hours: Hours = 24,
    limit: Limit = 100,
) -> list[dict[str, Any]]:  # fmt: skip
    """Changes of a namespace within the last ``hours``, newest first."""
    del username
    now = _now(request)
    found = await _ask(
        request,
        lambda history: history.changes(
            namespace=namespace,
            since=now - timedelta(hours=hours),
            until=now,
            limit=limit,
            target=target,
            cluster=cluster,
        ),
    )
    return [_wire(row) for row in found]


async def _ask(request: Request, question: Callable[[History], T]) -> T:
    historian: Historian | None = request.app.state.services.historian
    if historian is None:
        raise ProblemError(
            404, "No history is kept here", "set stateDir or history.url in the analysis server's configuration"
        )
    try:
        return await historian.ask(question)
    except SQLAlchemyError as error:
        raise ProblemError(503, "The history does not answer", type(error).__name__) from error


def _now(request: Request) -> datetime:
    now: datetime = request.app.state.services.now()
    return now


def _wire(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
        if name not in {"timeline", "objects"}
    }

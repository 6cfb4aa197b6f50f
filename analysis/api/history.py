"""``/v1/history``: the incident controller writes; the reader of everything asks, and people about what is theirs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Header, Query, Request
from sqlalchemy.exc import SQLAlchemyError

from analysis.api.gate import GatedRoute
from analysis.api.problems import ProblemError
from analysis.auth.identity import Unauthenticated, bearer
from analysis.auth.rbac import may_list
from analysis.contract import HistoryAnswer, HistoryRecord
from analysis.history.service import Historian
from analysis.history.store import History
from analysis.kube import ApiServer, ApiServerError

router = APIRouter(prefix="/v1/history", route_class=GatedRoute)

T = TypeVar("T")
Word = Annotated[str, Query(max_length=253)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Hours = Annotated[float, Query(gt=0, le=24 * 3660)]


class Reading:
    """Who asks: ``iirp-reader``, which reads all telemetry, or a person, whose own token says in which namespaces."""

    def __init__(self, request: Request, authorization: Annotated[str | None, Header()] = None) -> None:
        self._services = request.app.state.services
        self._username: str = request.state.username
        self._authorization = authorization

    async def cluster(self, namespace: str, wanted: str) -> str:
        """The cluster whose history may be shown of this namespace (empty: of all); empty for every cluster.

        Raises:
            ProblemError: 401, 403 or 503. A person's rights are those in the cluster that vouches for them.
        """
        if self._username:
            return wanted
        if not await self._may_list(namespace):
            where = f"in namespace {namespace}" if namespace else "in the whole cluster: name a namespace"
            raise ProblemError(403, "Not allowed", f"you may not list incidents {where}")
        own = str(self._services.config.web.cluster_name)
        if wanted not in {"", own}:
            raise ProblemError(403, "Not allowed", f"your rights are those in cluster {own}")
        return own

    async def _may_list(self, namespace: str) -> bool:
        api: ApiServer | None = self._services.api_server
        if api is None:
            raise ProblemError(401, "Not authenticated", "no API server is configured that could vouch for people")
        try:
            return await may_list(api, bearer(self._authorization), "incidents", namespace)
        except Unauthenticated as error:
            raise ProblemError(401, "Not authenticated", str(error)) from error
        except ApiServerError as error:
            if error.status == 401:
                raise ProblemError(401, "Not authenticated", "the token is not valid here") from error
            raise ProblemError(503, "Your rights cannot be checked now", str(error)) from error


Reader = Annotated[Reading, Depends()]


@router.post("")
async def record(request: Request, body: HistoryRecord) -> HistoryAnswer:
    """Keep an incident's chain as it is now."""
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
    request: Request, reader: Reader, namespace: Word = "", target: Word = "", type: Word = "", state: Word = "",
    cluster: Word = "", hours: Hours = 24 * 30, limit: Limit = 100,
) -> list[dict[str, Any]]:  # fmt: skip
    """Incidents that began within the last ``hours``, newest first; of all clusters unless one is named."""
    cluster = await reader.cluster(namespace, cluster)
    since = _now(request) - timedelta(hours=hours)
    found = await _ask(
        request,
        lambda history: history.incidents(
            limit=limit, since=since, cluster=cluster, namespace=namespace, target_name=target, type=type, state=state
        ),
    )
    return [_wire(row) for row in found]


@router.get("/incidents/{namespace}/{name}")
async def story(request: Request, reader: Reader, namespace: str, name: str, cluster: Word = "") -> dict[str, Any]:
    """One incident with its objects and its whole timeline."""
    cluster = await reader.cluster(namespace, cluster)
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
    request: Request, reader: Reader, namespace: Word, target: Word = "", cluster: Word = "", hours: Hours = 24,
    limit: Limit = 100,
) -> list[dict[str, Any]]:  # fmt: skip
    """Changes of a namespace within the last ``hours``, newest first."""
    cluster = await reader.cluster(namespace, cluster)
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

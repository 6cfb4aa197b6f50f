"""Liveness, readiness with the state of the sources, and metrics. Loopback only: the gateway does not pass these on."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from analysis.telemetry.store import Store

router = APIRouter()


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(request: Request) -> dict[str, Any]:
    """Ready to answer callers. A source that is down makes answers say so; it does not make this server unready."""
    services = request.app.state.services
    sources = await asyncio.gather(services.probe.prometheus(), services.probe.loki())
    return {
        "status": "ok" if all(source.ok for source in sources) else "degraded",
        "intake": _intake(services.store),
        "rules": {"version": services.detector.rules.version, "count": len(services.detector.rules.rules)},
        "sources": [source.model_dump(mode="json", exclude_none=True) for source in sources],
    }


def _intake(store: Store | None) -> str:
    """While loops are compiled nothing is taken in, and detection reads by query."""
    if store is None:
        return "off"
    return "ready" if store.ready else "compiling"


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """This server's own metrics."""
    services = request.app.state.services
    if services.store is not None:
        services.metrics.holds(services.store)
    return Response(generate_latest(services.metrics.registry), media_type=CONTENT_TYPE_LATEST)

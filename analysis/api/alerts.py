"""``POST /v1/alerts``: Alertmanager's webhook, version 4.

Answers as Alertmanager expects: 2xx when it was taken, 4xx for what will never be (it does not send that again), 5xx
when it should come again.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request

from analysis.alerts.payload import Refused, parse
from analysis.api.gate import GatedRoute
from analysis.api.problems import ProblemError

router = APIRouter(prefix="/v1", route_class=GatedRoute)
logger = logging.getLogger(__name__)

MAX_BYTES = 4 * 1024 * 1024


@router.post("/alerts")
async def alerts(
    request: Request, cluster: Annotated[str, Query(max_length=63, pattern=r"^[A-Za-z0-9._-]*$")] = ""
) -> dict[str, int]:
    """Alerts in; ``cluster`` says whose they are where several clusters share this server."""
    services = request.app.state.services
    body = await request.body()
    if len(body) > MAX_BYTES:
        raise ProblemError(413, "The notification is too large", f"limit {MAX_BYTES} bytes; set max_alerts")
    try:
        notification = await asyncio.to_thread(parse, body)
    except Refused as error:
        services.metrics.alerts.labels("refused").inc()
        raise ProblemError(400, "Not a notification of version 4", str(error)) from error
    try:
        taken = await asyncio.to_thread(services.alerts.take, notification, cluster, datetime.now(tz=UTC))
    except OSError as error:
        logger.warning("alerts not written to their file: %s", error)
        raise ProblemError(503, "Alerts cannot be kept", error.strerror or "write failed") from error
    services.metrics.alerts.labels("firing").inc(taken.firing)
    services.metrics.alerts.labels("resolved").inc(taken.resolved)
    services.metrics.alerts.labels("evicted").inc(taken.evicted)
    return {"firing": taken.firing, "resolved": taken.resolved, "evicted": taken.evicted}

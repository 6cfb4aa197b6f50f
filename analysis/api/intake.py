"""``POST /v1/write``: Prometheus remote_write 1.0 and 2.0 into memory.

Answers as senders expect: 2xx when all of it was looked at, 400 or 415 for what will never be accepted, 503 with
``Retry-After`` when it should come again. Series without room are answered 400 with their number, as Prometheus does
for samples that it cannot append: the rest of the request was taken, and detection reads by query meanwhile.
"""

from __future__ import annotations

import time

from fastapi import APIRouter, Request, Response

from analysis.api.gate import Caller
from analysis.api.problems import ProblemError
from analysis.telemetry.remote_write import MAX_BYTES, Malformed

router = APIRouter(prefix="/v1")

MAX_IN_FLIGHT = 16
"""Requests whose bodies are read at once: their memory is bounded."""


@router.post("/write", status_code=204)
async def write(request: Request, username: Caller) -> Response:
    """Samples in."""
    del username
    services = request.app.state.services
    if services.store is None:
        raise ProblemError(404, "This server takes no samples", "set intake.mode to receive")
    _check_kind(request)
    if not services.store.ready:
        raise ProblemError(503, "The server has just been started", "send it again")
    if services.in_flight.locked():
        raise ProblemError(503, "Too many requests at once", "send it again")
    async with services.in_flight:
        body = await request.body()
    if len(body) > MAX_BYTES:
        raise ProblemError(413, "The request is too large", f"limit {MAX_BYTES} bytes")
    started = time.perf_counter()
    try:
        taken = services.store.accept(body, time.time())
    except Malformed as error:
        services.metrics.samples.labels("malformed_request").inc()
        raise ProblemError(400, "Not a remote_write request", str(error)) from error
    services.metrics.took(taken, time.perf_counter() - started)
    if taken.refused:
        detail = f"{taken.refused} samples of series for which there is no room (intake.maxSeries)"
        raise ProblemError(400, "Not all series have room", detail)
    return Response(status_code=204)


def _check_kind(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "snappy").strip().lower()
    kind = request.headers.get("content-type", "application/x-protobuf").replace(" ", "").lower()
    if encoding != "snappy":
        raise ProblemError(415, "Unsupported encoding", "remote_write is snappy-compressed")
    if kind not in {"application/x-protobuf", "application/x-protobuf;proto=prometheus.writerequest"}:
        raise ProblemError(415, "Unsupported content type", "application/x-protobuf;proto=prometheus.WriteRequest")

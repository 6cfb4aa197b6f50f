"""``POST /v1/write``: Prometheus remote_write 1.0 and 2.0 into memory.

Answers as senders expect: 2xx when all of it was looked at, 400 or 415 for what will never be accepted, 503 with
``Retry-After`` when it should come again. Series without room are answered 400 with their number, as Prometheus does
for samples that it cannot append: the rest of the request was taken, and detection reads by query meanwhile. The
content type says the version; to 2.0 the answer says how much was written, as its specification wants it.
"""

from __future__ import annotations

import time

from fastapi import APIRouter, Request, Response

from analysis.api.gate import GatedRoute
from analysis.api.problems import ProblemError, problem_response
from analysis.contract import Problem
from analysis.telemetry.remote_write import MAX_BYTES, Malformed
from analysis.telemetry.store import Taken

router = APIRouter(prefix="/v1", route_class=GatedRoute)

VERSIONS = {"prometheus.writerequest": 1, "io.prometheus.write.v2.request": 2}
"""By the parameter ``proto`` of the content type."""
MAX_IN_FLIGHT = 16
"""Requests whose bodies are read at once: their memory is bounded."""


@router.post("/write", status_code=204)
async def write(request: Request) -> Response:
    """Samples in."""
    services = request.app.state.services
    if services.store is None:
        raise ProblemError(404, "This server takes no samples", "set intake.mode to receive")
    version = _version(request)
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
        taken = services.store.accept(body, time.time(), version)
    except Malformed as error:
        services.metrics.samples.labels("malformed_request").inc()
        raise ProblemError(400, "Not a remote_write request", str(error)) from error
    services.metrics.took(taken, time.perf_counter() - started)
    headers = _written(taken) if version == 2 else {}
    if not taken.refused:
        return Response(status_code=204, headers=headers)
    detail = f"{taken.refused} samples of series for which there is no room (intake.maxSeries)"
    answer = problem_response(Problem(title="Not all series have room", status=400, detail=detail))
    answer.headers.update(headers)
    return answer


def _version(request: Request) -> int:
    encoding = request.headers.get("content-encoding", "snappy").strip().lower()
    kind, _, parameter = request.headers.get("content-type", "application/x-protobuf").lower().partition(";")
    if encoding != "snappy":
        raise ProblemError(415, "Unsupported encoding", "remote_write is snappy-compressed")
    version = VERSIONS.get(parameter.strip().removeprefix("proto=") or "prometheus.writerequest")
    if kind.strip() != "application/x-protobuf" or version is None:
        wanted = "application/x-protobuf;proto=prometheus.WriteRequest or ;proto=io.prometheus.write.v2.Request"
        raise ProblemError(415, "Unsupported content type", wanted)
    return version


def _written(taken: Taken) -> dict[str, str]:
    counts = {"Samples": taken.samples, "Histograms": taken.histograms, "Exemplars": 0}
    return {f"X-Prometheus-Remote-Write-{what}-Written": str(count) for what, count in counts.items()}

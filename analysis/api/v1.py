"""The three questions of the controllers."""

from __future__ import annotations

from fastapi import APIRouter, Request

from analysis.api.gate import GatedRoute
from analysis.api.problems import ProblemError
from analysis.contract import DetectRequest, DetectResponse, RcaRequest, RcaResponse, VerifyRequest, VerifyResponse
from analysis.detect.topologies import UnknownTopology

router = APIRouter(prefix="/v1", route_class=GatedRoute)


@router.post("/detect")
async def detect(request: Request, body: DetectRequest) -> DetectResponse:
    """Which faults are on now?"""
    services = request.app.state.services
    try:
        answer: DetectResponse = await services.detector.detect(body)
    except UnknownTopology as error:
        raise ProblemError(409, "The topology is not known here", "send it once with its digest") from error
    services.metrics.saw(answer)
    return answer


@router.post("/rca")
async def rca(request: Request, body: RcaRequest) -> RcaResponse:
    """Why did this happen?"""
    answer: RcaResponse = await request.app.state.services.explainer.explain(body)
    return answer


@router.post("/verify")
async def verify(request: Request, body: VerifyRequest) -> VerifyResponse:
    """Did it help?"""
    answer: VerifyResponse = await request.app.state.services.verifier.verify(body)
    return answer

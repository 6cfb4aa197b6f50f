"""An analysis server that answers what the test says."""

from __future__ import annotations

from collections.abc import Callable

from analysis.contract import (
    DetectRequest,
    DetectResponse,
    HistoryAnswer,
    HistoryRecord,
    RcaRequest,
    RcaResponse,
    VerifyRequest,
    VerifyResponse,
)


class FakeAnalysis:
    """Each ``on_*`` computes the answer or raises; requests are kept in order."""

    def __init__(self) -> None:
        self.requests: list[DetectRequest | RcaRequest | VerifyRequest] = []
        self.on_detect: Callable[[DetectRequest], DetectResponse] | None = None
        self.on_rca: Callable[[RcaRequest], RcaResponse] | None = None
        self.on_history: Callable[[HistoryRecord], HistoryAnswer] = lambda _: HistoryAnswer(kept=True)
        self.kept: list[HistoryRecord] = []
        self.on_verify: Callable[[VerifyRequest], VerifyResponse] | None = None

    def detect(self, request: DetectRequest) -> DetectResponse:
        self.requests.append(request)
        assert self.on_detect is not None
        return self.on_detect(request)

    def rca(self, request: RcaRequest) -> RcaResponse:
        self.requests.append(request)
        assert self.on_rca is not None
        return self.on_rca(request)

    def verify(self, request: VerifyRequest) -> VerifyResponse:
        self.requests.append(request)
        assert self.on_verify is not None
        return self.on_verify(request)

    def history(self, record: HistoryRecord) -> HistoryAnswer:
        answer = self.on_history(record)
        self.kept.append(record)
        return answer

"""A real llama.cpp server, where one is named: `IIRP_TEST_LLAMA=http://127.0.0.1:8000/v1` (docs/root-causes.md)."""

from __future__ import annotations

import asyncio
import os

import pytest

from analysis.api.metrics import Metrics
from analysis.config import Model
from analysis.contract import RcaResponse
from analysis.llm.service import Narrator
from analysis.rca.service import explain
from crds.v1alpha1.rcareport import UNRESOLVED_BELOW, RCAReportStatus
from tests.unit.analysis.rca.faults import FAULTS
from tests.unit.analysis.rca.faults.shop import CAUSES

URL = os.environ.get("IIRP_TEST_LLAMA", "")
pytestmark = pytest.mark.skipif(not URL, reason="IIRP_TEST_LLAMA names no llama.cpp server")


@pytest.mark.parametrize("fault", ["errors, where they are made", "slow dependency, seen by its caller", "bad rollout"])
def test_a_local_model_adds_words_and_moves_nothing(fault: str) -> None:
    given = FAULTS[fault].facts
    report, seen = explain(CAUSES, given)
    settings = {
        "baseUrl": URL, "model": "local", "timeoutSeconds": 120, "answerFormat": "jsonObjectSchema",
        "maxOutputTokens": 4096,
    }  # fmt: skip
    metrics = Metrics()
    narrator = Narrator(Model.model_validate(settings), "", metrics)

    async def run() -> RcaResponse:
        try:
            return await narrator.enrich(report, given.request, seen)
        finally:
            await narrator.aclose()

    after = asyncio.run(run())
    assert (after.method, after.degraded_reason) == ("deterministic+model", "")
    claimed = [one for one in report.root_causes if not one.refuted and one.confidence_percent >= UNRESOLVED_BELOW]
    ranked = [(one.id, one.confidence_percent, one.evidence) for one in after.root_causes]
    assert ranked[: len(claimed)] == [(one.id, one.confidence_percent, one.evidence) for one in claimed]
    assert metrics.registry.get_sample_value("iirp_analysis_model_citations_dropped_total") == 0
    RCAReportStatus(root_causes=list(after.root_causes), method=after.method, model=after.model)

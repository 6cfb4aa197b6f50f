"""A database that hangs: whose work it may hold up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import cast

import pytest

from analysis.config import HistoryConfig
from analysis.contract import RcaResponse
from analysis.history import service
from analysis.history.service import Historian
from analysis.history.store import History
from tests.unit.analysis.history.test_store import NOW, record
from tests.unit.analysis.rca.world import request

REPORT = RcaResponse(root_causes=(), method="deterministic", evidence_digest="sha256:" + "0" * 64)


class Hanging:
    """Answers when the test is over."""

    def __init__(self) -> None:
        self.over = threading.Event()

    def __getattr__(self, _: str) -> object:
        return lambda *_, **__: self.over.wait(60)

    def close(self) -> None:
        self.over.set()


@pytest.fixture
def historian() -> Iterator[Historian]:
    made = Historian(cast(History, Hanging()), HistoryConfig(), lambda: NOW)
    yield made
    made.close()


def test_other_work_goes_on(historian: Historian) -> None:
    async def run() -> str:
        stuck = [asyncio.create_task(historian.record(record())) for _ in range(100)]
        await asyncio.sleep(0)
        try:
            return await asyncio.wait_for(asyncio.to_thread(lambda: "done"), 30)
        finally:
            historian.close()
            await asyncio.gather(*stuck, return_exceptions=True)

    assert asyncio.run(run()) == "done"


def test_a_report_goes_without_it(historian: Historian, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "ANSWER_SECONDS", 0.05)
    assert asyncio.run(historian.enrich(request(), REPORT, ())) == REPORT

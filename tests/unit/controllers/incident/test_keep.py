from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from analysis.contract import HistoryAnswer, HistoryRecord
from controllers.incident.chain import Chain
from controllers.incident.keep import PAUSE, REFUSED_PAUSE, Keeper
from controllers.runtime.analysis import AnalysisUnavailable
from tests.fakes.analysis import FakeAnalysis
from tests.unit.controllers.incident.builders import at, incident


class Clock:
    def __init__(self) -> None:
        self.now = at(0)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def world() -> tuple[Keeper, FakeAnalysis, Clock]:
    analysis, clock = FakeAnalysis(), Clock()
    return Keeper(analysis, "c", clock), analysis, clock


def chain(cause: str = "") -> Chain:
    one = incident()
    return Chain(one.model_copy(update={"status": one.status.model_copy(update={"cause": cause})}), (), (), ())


def test_a_chain_is_sent_when_it_is_news_and_only_then(world) -> None:
    keeper, analysis, _ = world
    for cause in ("", "", "leak", "leak"):
        keeper.keep(chain(cause))
    assert [one.incident.status.cause for one in analysis.kept] == ["", "leak"]
    assert analysis.kept[0].cluster == "c"


def test_a_failure_is_not_in_the_way_and_is_tried_again(world) -> None:
    keeper, analysis, clock = world

    def down(_: HistoryRecord) -> HistoryAnswer:
        raise AnalysisUnavailable("AnalysisUnreachable", "gone")

    analysis.on_history = down
    keeper.keep(chain())
    analysis.on_history = lambda _: HistoryAnswer(kept=True)
    keeper.keep(chain())
    assert analysis.kept == []
    clock.now += PAUSE
    keeper.keep(chain())
    assert len(analysis.kept) == 1


def test_a_server_without_history_is_left_alone_for_a_while(world) -> None:
    keeper, analysis, clock = world
    analysis.on_history = lambda _: HistoryAnswer(kept=False)
    for _ in range(3):
        keeper.keep(chain())
    assert len(analysis.kept) == 1
    clock.now += REFUSED_PAUSE + timedelta(seconds=1)
    keeper.keep(chain())
    assert len(analysis.kept) == 2


def test_without_an_analysis_server_nothing_is_sent() -> None:
    Keeper(None, "c", Clock()).keep(chain())

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from analysis.rca.asking import Asker
from analysis.rca.facts import Counted
from analysis.rca.probes import ProbeSpec
from analysis.telemetry.prometheus import Prometheus
from crds.v1alpha1.base import Window
from tests.unit.analysis.logs.loki import Store
from tests.unit.analysis.rca.world import ONSET, START, at, request

SPEC = ProbeSpec.model_validate(
    {"name": "refusals", "log": {"logql": '${streams} |~ "refused"', "atLeast": 3, "text": "{count} lines"}}
)


@pytest.mark.parametrize(("since", "before", "queries"), [(0, None, 1), (2, None, 1), (3, 4, 2)])
def test_the_time_before_is_asked_for_only_where_there_is_something_to_compare(
    since: int, before: int | None, queries: int
) -> None:
    onset = START + ONSET
    early = [(onset - 10 - number, "refused") for number in range(4)]
    store = Store([*early, *((onset + 1 + number, "refused") for number in range(since))])
    asker = Asker(cast(Prometheus, None), store.loki())
    found = asyncio.run(asker.ask([SPEC], request(), Window(start=at(0), end=at(ONSET + 60)), {})).counted["refusals"]
    assert found == Counted(found.query, before, 300.0, since, 60.0)
    assert len(store.asked) == queries

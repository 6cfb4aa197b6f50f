from __future__ import annotations

import numpy as np

from analysis.rca.deviation import Kind
from analysis.rca.neighbours import Span, calls_query, neighbourhood, queries
from analysis.telemetry.query import equal
from analysis.windows.block import Samples
from tests.unit.analysis.rca.world import ONSET, START, neighbours

NOTHING = Samples((), np.empty(0, dtype=np.int64), np.empty(0), np.empty(0))


def test_a_slow_callee_of_a_callee_is_found() -> None:
    found = neighbours(web=1.0, payments=1.0, bank=0.9).origin("web", START + ONSET)
    assert found[0].entity == "bank"


def test_a_neighbour_that_is_not_called_is_not_suspected() -> None:
    assert neighbours(web=1.0, payments=0.05).origin("payments", START + ONSET) == ()


def test_calls_are_known_by_workload() -> None:
    assert neighbours(web=1.0, payments=1.0).calls == {"web": frozenset({"payments"})}


def test_no_metrics_no_suspects() -> None:
    scope = equal("namespace", "shop")
    empty = neighbourhood(dict.fromkeys(Kind, NOTHING), NOTHING, queries(scope), Span(900.0, 900.0, 15.0))
    assert empty.origin("web", 500.0) == ()


def test_queries_quote_what_they_are_given() -> None:
    scope = equal("namespace", 'x"} or up{a="')
    assert all('x\\"} or up{a=\\"' in one for one in [*queries(scope).values(), calls_query(scope)])

"""A deeper cause takes another's place only where it may itself be the cause."""

from __future__ import annotations

from graphlib import TopologicalSorter

from analysis.rca.facts import BeforeAfter
from tests.unit.analysis.rca.faults.shop import CAUSES, explained, told

FULL_POOL = {"connections-exhausted": 198, "error-lines": 200}
GREW = BeforeAfter(1.3, 2.5, "sum(rate(http_requests_total[60s]))")


def test_no_causes_refute_each_other_in_a_circle() -> None:
    """Else all of them could be ruled out by one another, and nothing would stand."""
    deeper = {
        cause.kind: {
            one.kind
            for spec in cause.refuters
            if spec.when == "yes"
            for one in CAUSES.resting_on(spec.probe)
            if one.kind != cause.kind
        }
        for cause in CAUSES.causes
    }
    assert set(TopologicalSorter(deeper).static_order()) == {cause.kind for cause in CAUSES.causes}


def test_traffic_that_grew_is_no_reason_for_errors() -> None:
    """Live: the used-up pool ruled out errors of its own, grown traffic the used-up pool, and nothing was left."""
    given = told("HighErrorRate", traffic=GREW, lines=FULL_POOL, measured={"own-errors-rose": (0.0, 0.4)})
    found = {one.kind: one.refuted for one in explained(given).root_causes}
    assert next(iter(found)) == "ConnectionsExhausted"
    assert (found["ConnectionsExhausted"], found["InternalErrors"]) == (False, True)


def test_traffic_that_grew_is_a_reason_for_latency() -> None:
    given = told("HighLatency", traffic=GREW, measured={"own-latency-rose": (0.02, 2.0)})
    found = {one.kind: one.refuted for one in explained(given).root_causes}
    assert (found["TrafficGrowth"], found["InternalLatency"]) == (False, True)

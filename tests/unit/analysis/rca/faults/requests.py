"""Slow and failing requests, where they are made and where they are seen; metrics that are gone."""

from __future__ import annotations

from analysis.contract import ChangeKind
from analysis.rca.facts import BeforeAfter
from tests.unit.analysis.rca.faults.shop import CHECKOUT, FAILING, SLOW, Fault, told, written
from tests.unit.analysis.rca.world import ONSET, neighbours, rollout

FAULTS = {
    "slow dependency, seen by its caller": Fault(
        told("HighLatency", target=CHECKOUT, upstream=SLOW, measured={"own-latency-rose": (0.03, 1.9)}),
        "DependencySlow",
    ),
    "slow dependency itself": Fault(told("HighLatency", measured={"own-latency-rose": (0.02, 1.9)}), "InternalLatency"),
    "errors, where they are made": Fault(
        told("HighErrorRate", measured={"own-errors-rose": (0.0, 0.3)}, lines={"error-lines": 40}), "InternalErrors"
    ),
    "errors, seen by a caller": Fault(
        told("HighErrorRate", target=CHECKOUT, upstream_errors=FAILING, measured={"own-errors-rose": (0.0, 0.3)}),
        "DependencyFailing",
    ),
    "configuration written, and a callee that fails by chance": Fault(
        told(
            "HighErrorRate",
            target=CHECKOUT,
            upstream_errors=FAILING,
            neighbours=neighbours(checkout=1.0, payments=1.0),
            measured={"own-errors-rose": (0.0, 0.4)},
            changes=(written(ChangeKind.CONFIG, CHECKOUT),),
        ),
        "DependencyFailing",
    ),
    "configuration of another workload written": Fault(
        told(
            "HighErrorRate",
            measured={"own-errors-rose": (0.0, 0.3)},
            lines={"error-lines": 40},
            changes=(written(ChangeKind.CONFIG, CHECKOUT),),
        ),
        "InternalErrors",
    ),
    "metrics that nobody serves any more": Fault(
        told("AbsentSeries", measured={"not-scraped": (2.0, 0.0), "nobody-scraped": (8.0, 6.0)}), "MetricsEndpointDown"
    ),
    "metrics that nobody serves since a rollout": Fault(
        told(
            "AbsentSeries",
            measured={"not-scraped": (2.0, 0.0), "nobody-scraped": (8.0, 6.0)},
            changes=(rollout(ONSET - 40),),
        ),
        "MetricsEndpointDown",
    ),
    "load": Fault(
        told(
            "HighLatency",
            traffic=BeforeAfter(8.0, 30.0, "q"),
            measured={"cpu-near-limit": (0.3, 0.98), "own-latency-rose": (0.02, 0.9)},
        ),
        "TrafficGrowth",
    ),
    "an autoscaler at its maximum": Fault(
        told(
            "HighLatency",
            traffic=BeforeAfter(8.0, 30.0, "q"),
            measured={"own-latency-rose": (0.02, 0.8), "cpu-near-limit": (0.3, 0.97)},
        ),
        "TrafficGrowth",
    ),
}

"""Slow and failing requests, where they are made and where they are seen; metrics that are gone."""

from __future__ import annotations

from analysis.contract import ChangeKind
from analysis.rca.facts import BeforeAfter
from tests.unit.analysis.rca.faults.shop import CHECKOUT, FAILING, SLOW, Fault, rolled_out, told, written
from tests.unit.analysis.rca.world import ONSET, neighbours, rollout

REFUSED = {"own-errors-rose": (0.0, 0.4), "client-errors-rose": (0.0, 0.4), "refused-with-code": (0.0, 0.4)}
CALLED = neighbours(checkout=0.05, payments=0.05)

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
    "requests that are refused, and nothing that was changed": Fault(
        told("HighErrorRate", measured=REFUSED, lines={"error-lines": 40}, neighbours=CALLED), "RequestsRefused"
    ),
    "requests that are refused since their caller was rolled out": Fault(
        told(
            "HighErrorRate",
            measured=REFUSED,
            neighbours=CALLED,
            changes=(rolled_out("env PAYMENTS_PATH changed").model_copy(update={"target": CHECKOUT}),),
        ),
        "RequestsRefused",
        "checkout",
    ),
    "requests that are refused since a rollout": Fault(
        told("HighErrorRate", measured=REFUSED, neighbours=CALLED, changes=(rollout(ONSET - 40),)), "BadRollout"
    ),
    "requests that are refused since its configuration was written": Fault(
        told("HighErrorRate", measured=REFUSED, neighbours=CALLED, changes=(written(ChangeKind.CONFIG),)),
        "ConfigChange",
    ),
    "refusals of another service, passed on": Fault(
        told("HighErrorRate", target=CHECKOUT, upstream_errors=FAILING, measured=REFUSED), "DependencyFailing"
    ),
    "requests that fail, and some that are refused": Fault(
        told("HighErrorRate", measured=REFUSED | {"server-errors-rose": (0.0, 0.3)}, lines={"error-lines": 40}),
        "InternalErrors",
    ),
    "errors, and a caller that was rolled out": Fault(
        told(
            "HighErrorRate",
            measured={"own-errors-rose": (0.0, 0.3), "server-errors-rose": (0.0, 0.3)},
            lines={"error-lines": 40},
            neighbours=CALLED,
            changes=(rolled_out("image v1 -> v2").model_copy(update={"target": CHECKOUT}),),
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

"""The verdict on failing and slow requests: the same ratio or quantile that detection looks at, before and after."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

import numpy as np

from analysis.contract import MeasuredChange, VerifyRequest, VerifyResponse
from analysis.telemetry.prometheus import Prometheus
from analysis.telemetry.query import Matcher, equal, matching, quantile_query, selector
from analysis.verify.decide import COVERED_SHARE
from analysis.workloads import pod_matcher
from crds.v1alpha1.verification import Verdict

STEP_SECONDS = 10.0
RATE = "60s"
MIN_STEPS = 3
GONE_SHARE = 0.3
STILL_SHARE = 0.7


@dataclass(frozen=True, slots=True)
class Quantity:
    """What is compared for a type of incident, and the level at which nobody would complain."""

    name: str
    unit: str
    harmless: float


measured_by: Mapping[str, Quantity] = MappingProxyType(
    {
        "HighErrorRate": Quantity("share of failed requests", "ratio", 0.01),
        "HighLatency": Quantity("95th percentile of the latency", "s", 0.3),
    }
)


def expression(kind: str, *scope: Matcher) -> str:
    """PromQL of the quantity for one workload."""
    if kind == "HighErrorRate":
        failed = selector("http_requests_total", *scope, matching("code", "5.."))
        return f"sum(rate({failed}[{RATE}])) / sum(rate({selector('http_requests_total', *scope)}[{RATE}]))"
    return quantile_query(0.95, "http_request_duration_seconds", RATE, *scope)


async def compare(prometheus: Prometheus, request: VerifyRequest, now: datetime, *, complete: bool) -> VerifyResponse:
    """Compare medians before the action and after it.

    Raises:
        SourceError: the metrics store does not answer.
    """
    incident, quantity = request.incident, measured_by[request.incident.type]
    scope = (equal("namespace", incident.target.namespace), pod_matcher(incident.target))
    query = expression(incident.type, *scope)
    start = max(incident.started_at, request.executed_at - timedelta(minutes=5))
    executed = request.executed_at.timestamp()
    samples, newest = await asyncio.gather(
        prometheus.range(query, start, now, STEP_SECONDS),
        prometheus.instant(f"max(timestamp({selector('http_requests_total', *scope)}))", now),
    )
    needed = executed + COVERED_SHARE * (request.window.end.timestamp() - executed)
    if complete and not (newest.values.size and newest.values[0] >= needed):
        return VerifyResponse(
            verdict=Verdict.INCONCLUSIVE if request.final else None,
            reason="DataEndedEarly",
            message="samples of the workload end before the window does",
        )
    known = np.isfinite(samples.values)
    # the rate's own window must lie after the action too
    settle = min(60.0, max(0.0, (now.timestamp() - executed) / 2))
    before = samples.values[known & (samples.times < executed)]
    after = samples.values[known & (samples.times >= executed + settle)]
    return judge(quantity, query, before.tolist(), after.tolist(), complete=complete, final=request.final)


def judge(
    quantity: Quantity, query: str, before: list[float], after: list[float], *, complete: bool, final: bool
) -> VerifyResponse:
    """The verdict from the values before and after."""
    if len(before) < MIN_STEPS or len(after) < MIN_STEPS:
        side = "after" if len(before) >= MIN_STEPS else "before"
        verdict = Verdict.INCONCLUSIVE if final else None
        return VerifyResponse(
            verdict=verdict, reason=f"NoData{side.title()}", message=f"too few samples {side} the action"
        )
    old, new = float(np.median(before)), float(np.median(after))
    verdict, reason = _verdict(quantity, old, new, complete=complete)
    measured = MeasuredChange(name=quantity.name, query=query, unit=quantity.unit, before=old, after=new)
    message = f"{quantity.name} {new:.3g} {quantity.unit} after {old:.3g} before"
    return VerifyResponse(verdict=verdict, reason=reason, message=message, measurements=(measured,))


def _verdict(quantity: Quantity, old: float, new: float, *, complete: bool) -> tuple[Verdict | None, str]:
    bad = max(old, quantity.harmless)
    if new <= max(GONE_SHARE * bad, quantity.harmless):
        return (Verdict.EFFECTIVE, "BackToNormal") if complete else (None, "Observing")
    if complete and new >= STILL_SHARE * bad and math.isfinite(new):
        return Verdict.INEFFECTIVE, "NoBetter"
    return (Verdict.INCONCLUSIVE, "NotClear") if complete else (None, "Observing")

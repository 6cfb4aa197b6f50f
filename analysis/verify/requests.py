"""The verdict on failing and slow requests: the same ratio or quantile that detection looks at, before and after."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

import numpy as np

from analysis.contract import IncidentFacts, MeasuredChange, VerifyRequest, VerifyResponse
from analysis.detect.rules import CounterSelector, RatioRule, RuleSet
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
HARMLESS_SHARE = 0.01
REQUESTS: Final = CounterSelector(metric="http_requests_total")
WORST_FIRST: Final = (Verdict.INEFFECTIVE, None, Verdict.INCONCLUSIVE, Verdict.EFFECTIVE)


@dataclass(frozen=True, slots=True)
class Quantity:
    """What is compared, and the level at which nobody would complain."""

    name: str
    unit: str
    harmless: float
    expression: Callable[[Sequence[Matcher]], str]
    """PromQL of it for the series that these matchers choose."""


def share(name: str, numerator: CounterSelector, denominator: CounterSelector) -> Quantity:
    """A share of counters; zero, not unknown, of pods that count what is below the line and never what is above it."""

    def rate(counters: CounterSelector, scope: Sequence[Matcher]) -> str:
        labels = (matching(label, pattern) for label, pattern in sorted(counters.matching.items()))
        return f"sum(rate({selector(counters.metric, *scope, *labels)}[{RATE}]))"

    def expression(scope: Sequence[Matcher]) -> str:
        part, total = rate(numerator, scope), rate(denominator, scope)
        return f"({part} or 0 * {total}) / {total}"

    return Quantity(name, "ratio", HARMLESS_SHARE, expression)


MEASURED: Mapping[str, Quantity] = MappingProxyType(
    {
        "HighErrorRate": share(
            "share of failed requests", REQUESTS.model_copy(update={"matching": {"code": "5.."}}), REQUESTS
        ),
        "HighLatency": Quantity(
            "95th percentile of the latency",
            "s",
            0.3,
            lambda scope: quantile_query(0.95, "http_request_duration_seconds", RATE, *scope),
        ),
    }
)
"""By type of incident: what is compared where none of its rules is about a share, or an alert reported it."""


def quantities(incident: IncidentFacts, rules: RuleSet) -> tuple[Quantity, ...]:
    """What is compared: the shares that the incident's own rules look at, each once, else what its type is about.

    Requests that are refused (4xx) are not over because none fails (5xx).
    """
    ratios = {one.what: one for one in rules.rules if isinstance(one, RatioRule) and one.name in incident.rules}
    if ratios:
        return tuple(share(f"share {what}", one.numerator, one.denominator) for what, one in sorted(ratios.items()))
    return (MEASURED[incident.type],) if incident.type in MEASURED else ()


async def compare(
    prometheus: Prometheus, request: VerifyRequest, measured: Sequence[Quantity], now: datetime, *, complete: bool
) -> VerifyResponse:
    """Compare medians before the action and after it, of at least one quantity: the worst answer is the answer.

    Raises:
        SourceError: the metrics store does not answer.
    """
    executed = request.executed_at.timestamp()
    counted = selector(REQUESTS.metric, *_scope(request.incident))
    newest = await prometheus.instant(f"max(timestamp({counted}))", now)
    needed = executed + COVERED_SHARE * (request.window.end.timestamp() - executed)
    if complete and not (newest.values.size and newest.values[0] >= needed):
        return VerifyResponse(
            verdict=Verdict.INCONCLUSIVE if request.final else None,
            reason="DataEndedEarly",
            message="samples of the workload end before the window does",
        )
    answers = await asyncio.gather(*(_compared(prometheus, request, one, now, complete=complete) for one in measured))
    worst = min(answers, key=lambda one: WORST_FIRST.index(one.verdict))
    return worst.model_copy(
        update={
            "message": "; ".join(one.message for one in answers),
            "measurements": tuple(change for one in answers for change in one.measurements),
        }
    )


def _scope(incident: IncidentFacts) -> tuple[Matcher, Matcher]:
    return equal("namespace", incident.target.namespace), pod_matcher(incident.target)


async def _compared(
    prometheus: Prometheus, request: VerifyRequest, quantity: Quantity, now: datetime, *, complete: bool
) -> VerifyResponse:
    executed = request.executed_at.timestamp()
    start = max(request.incident.started_at, request.executed_at - timedelta(minutes=5))
    query = quantity.expression(_scope(request.incident))
    samples = await prometheus.range(query, start, now, STEP_SECONDS)
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
    if max(old, new) <= quantity.harmless:
        return (Verdict.INCONCLUSIVE, "NotBadBefore") if complete else (None, "Observing")
    bad = max(old, quantity.harmless)
    if new <= max(GONE_SHARE * bad, quantity.harmless):
        return (Verdict.EFFECTIVE, "BackToNormal") if complete else (None, "Observing")
    if complete and new >= STILL_SHARE * bad and math.isfinite(new):
        return Verdict.INEFFECTIVE, "NoBetter"
    return (Verdict.INCONCLUSIVE, "NotClear") if complete else (None, "Observing")

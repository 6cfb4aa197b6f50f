"""How bad a fault is, by what its users feel."""

from __future__ import annotations

import pytest

from analysis.contract import Candidate
from analysis.correlate.impact import impact
from crds.v1alpha1.base import Severity
from crds.v1alpha1.detection import MetricEvidence
from tests.unit.analysis.correlate.test_live import alarm


def errors(name: str, share: str, severity: Severity = Severity.HIGH) -> Candidate:
    metric = MetricEvidence(query="q", summary="s", value=share, unit="ratio")
    return alarm("HighErrorRate", name, severity=severity, metrics=(metric,))


CASES: dict[str, tuple[list[Candidate], Severity, str]] = {
    "as the worst alarm": (
        [alarm("MemoryLeak", "payments"), alarm("Restarted", "payments", severity=Severity.LOW)],
        Severity.MEDIUM,
        "",
    ),
    "some requests fail": ([errors("checkout", "0.08")], Severity.HIGH, "8% of the requests to checkout fail"),
    "many requests fail, somewhere": (
        [alarm("MemoryLeak", "payments"), errors("checkout", "0.05"), errors("frontend", "0.4", Severity.LOW)],
        Severity.CRITICAL,
        "40% of the requests to frontend fail",
    ),
    "nothing answers and callers fail": (
        [alarm("ZeroEndpoints", "payments", on="Service"), errors("checkout", "0.06")],
        Severity.CRITICAL,
        "6% of the requests to checkout fail; nothing answers for payments",
    ),
    "nothing answers and nobody calls": (
        [alarm("ZeroEndpoints", "payments", on="Service")],
        Severity.MEDIUM,
        "nothing answers for payments",
    ),
    "many workloads": (
        [alarm("HighLatency", name) for name in ("a", "b", "c", "d", "e")],
        Severity.HIGH,
        "5 workloads show it",
    ),
    "a number that is none": ([errors("checkout", "NaN")], Severity.HIGH, ""),
}


@pytest.mark.parametrize("name", CASES)
def test_severity_and_its_reason(name: str) -> None:
    alarms, severity, words = CASES[name]
    assert impact(alarms) == (severity, words)
    assert impact(alarms[::-1]) == (severity, words)

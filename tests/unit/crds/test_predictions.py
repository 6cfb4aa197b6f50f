"""What became of a prediction."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from crds.v1alpha1 import Incident
from crds.v1alpha1.predictions import told
from tests.unit.demo.test_chain import incident

EARLY, LATE = "2026-01-01T10:20:00Z", "2026-01-01T10:30:00Z"


def made(verdict: str | None = None, active: bool = True, harm: str | None = None, predicted: bool = True) -> Incident:
    wire: dict[str, Any] = incident(state="Detected")
    wire["spec"]["predicted"] = predicted
    target = wire["spec"]["target"]
    kinds = [("MemoryLeak", "2026-01-01T10:00:00Z")] + ([("OOMKilled", harm)] if harm else [])
    wire["status"]["verdict"] = verdict
    wire["status"]["detection"] = {
        "active": active,
        "lastSeenAt": "2026-01-01T10:10:00Z",
        "severity": "high",
        "signals": [
            {"type": kind, "rule": "r", "target": target, "firstSeenAt": at, "lastSeenAt": at} for kind, at in kinds
        ],
        "prediction": {
            "resource": "memory", "limit": "1", "unit": "bytes",
            "expectedAt": "2026-01-01T10:25:00Z", "earliestAt": EARLY, "latestAt": LATE,
        },
    }  # fmt: skip
    return Incident.from_wire(wire)


@pytest.mark.parametrize(
    ("one", "minute", "outcome", "within"),
    [
        (made(), 15, "Open", None),
        (made(active=False), 15, "NotTrue", None),
        (made(), 31, "NotTrue", None),
        (made(verdict="Effective", active=False), 15, "Prevented", None),
        (made(verdict="Ineffective", active=False), 35, "NotTrue", None),
        (made(harm="2026-01-01T10:24:00Z"), 26, "CameTrue", True),
        (made(harm="2026-01-01T10:35:00Z"), 40, "CameTrue", False),
        (made(harm="2026-01-01T10:24:00Z", verdict="Effective"), 40, "CameTrue", True),
    ],
)
def test_what_became_of_it(one: Incident, minute: int, outcome: str, within: bool | None) -> None:
    found = told(one, datetime(2026, 1, 1, 10, minute, tzinfo=UTC))
    assert found is not None
    assert (found.outcome, found.within) == (outcome, within)


def test_who_predicted_nothing_cannot_be_wrong() -> None:
    assert told(made(predicted=False), datetime(2026, 1, 1, 11, tzinfo=UTC)) is None

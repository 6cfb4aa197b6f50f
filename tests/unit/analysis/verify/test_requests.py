"""Whether an action helped is told by what raised the incident: refused requests by 4xx, timeouts by timeouts."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import httpx
import pytest

from analysis.config import DATA_ROOT
from analysis.contract import IncidentFacts, VerifyRequest, VerifyResponse
from analysis.detect.rulebook import load_rules
from analysis.telemetry.prometheus import Prometheus
from analysis.verify.service import Verifier
from crds.v1alpha1.actions import Action, ActionType
from crds.v1alpha1.base import Scope, Severity, TargetRef, Window
from crds.v1alpha1.incident import Verdict

RULES = load_rules(DATA_ROOT / "rules")
EXECUTED = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
END = EXECUTED + timedelta(minutes=3)
TARGET = TargetRef(kind="Deployment", namespace="shop", name="payments", uid="u")
Share = tuple[float, float]
"""Of all requests, before the action and after it."""


class Store:
    """Answers each share of requests by the code that stands for it: ``{"404": (0.4, 0.0)}``."""

    def __init__(self, shares: dict[str, Share]) -> None:
        self._shares = shares
        self.asked: list[str] = []

    def answer(self, asked: httpx.Request) -> httpx.Response:
        form = dict(parse_qsl(asked.content.decode()))
        self.asked.append(form["query"])
        if form["query"].startswith("max(timestamp"):
            data = {"resultType": "vector", "result": [{"metric": {}, "value": [0, str(END.timestamp())]}]}
        else:
            data = {"resultType": "matrix", "result": [{"metric": {}, "values": self._share(form)}]}
        return httpx.Response(200, json={"status": "success", "data": data})

    def _share(self, form: dict[str, str]) -> list[list]:
        found = re.search(r'code=~"([^"]*)"', form["query"])
        assert found is not None
        counted = [share for code, share in self._shares.items() if re.fullmatch(found[1], code)]
        times = range(int(float(form["start"])), int(float(form["end"])) + 1, 10)
        return [[at, str(sum(share[at >= EXECUTED.timestamp()] for share in counted))] for at in times]


def verified(store: Store, kind: str, *rules: str) -> VerifyResponse:
    incident = IncidentFacts(
        name="i", namespace="shop", uid="u", type=kind, scope=Scope.WORKLOAD, target=TARGET, severity=Severity.HIGH,
        started_at=EXECUTED - timedelta(minutes=4), detected_at=EXECUTED - timedelta(minutes=2), rules=rules,
    )  # fmt: skip
    action = Action(id="restart-1", type=ActionType.RESTART_DEPLOYMENT, target=TARGET)
    window = Window(start=EXECUTED, end=END)
    request = VerifyRequest(incident=incident, actions=(action,), executed_at=EXECUTED, window=window, final=True)

    async def ask() -> VerifyResponse:
        async with httpx.AsyncClient(transport=httpx.MockTransport(store.answer)) as client:
            prometheus = Prometheus("http://prometheus", 1.0, client)
            return await Verifier(prometheus, lambda: RULES, lambda: END).verify(request)

    return asyncio.run(ask())


GONE, STAYS, NEVER = (0.4, 0.0), (0.4, 0.4), (0.0, 0.0)
BOTH = ("client-errors", "error-rate")


@pytest.mark.parametrize(
    ("kind", "rules", "shares", "verdict"),
    [
        ("HighErrorRate", ("client-errors",), {"404": GONE}, Verdict.EFFECTIVE),
        ("HighErrorRate", ("client-errors",), {"404": STAYS}, Verdict.INEFFECTIVE),
        ("HighErrorRate", ("client-errors",), {"404": STAYS, "500": GONE}, Verdict.INEFFECTIVE),
        ("HighErrorRate", ("error-rate", "error-outage"), {"500": GONE, "404": (0.02, 0.03)}, Verdict.EFFECTIVE),
        ("HighErrorRate", BOTH, {"404": GONE, "500": GONE}, Verdict.EFFECTIVE),
        ("HighErrorRate", BOTH, {"404": GONE, "500": STAYS}, Verdict.INEFFECTIVE),
        ("HighErrorRate", ("alertmanager", "gone-since"), {"503": GONE}, Verdict.EFFECTIVE),
        ("HighErrorRate", (), {"404": GONE, "500": NEVER}, Verdict.INCONCLUSIVE),
        ("ApiTimeouts", ("timeouts",), {"504": GONE}, Verdict.EFFECTIVE),
        ("ApiTimeouts", (), {"504": GONE}, Verdict.INCONCLUSIVE),
    ],
)
def test_what_raised_the_incident_has_to_be_better(
    kind: str, rules: tuple[str, ...], shares: dict[str, Share], verdict: Verdict
) -> None:
    answer = verified(Store(shares), kind, *rules)
    assert answer.verdict is verdict, (answer.reason, answer.message)


def test_what_was_compared_can_be_asked_again() -> None:
    store = Store({"404": GONE})
    (measured,) = verified(store, "HighErrorRate", "client-errors").measurements
    assert measured.name == "share of requests answered with 4xx"
    assert (measured.before, measured.after) == (0.4, 0.0)
    assert measured.query in store.asked


def test_pods_that_never_count_the_failures_are_well_and_not_unknown() -> None:
    """Counters with labels are born with the first count: a rollback's pods have none of the code that is gone."""
    (query,) = (one for one in _asked("error-rate") if "sum(rate(" in one)
    assert " or 0 * sum(rate(" in query


def _asked(rule: str) -> list[str]:
    store = Store({"500": GONE})
    verified(store, "HighErrorRate", rule)
    return store.asked

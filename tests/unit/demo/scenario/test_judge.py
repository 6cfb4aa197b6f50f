"""What was seen, held against what was expected."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo.scenario.judge import judge, pending
from demo.scenario.model import Expect
from demo.scenario.report import quantile
from demo.scenario.seen import Seen, Verified, merged

T0 = datetime(2026, 1, 1, 10, 0, tzinfo=UTC)
LEAK = {"type": "MemoryLeak", "target": "Deployment/payments"}


def at(offset: float) -> datetime:
    return T0 + timedelta(seconds=offset)


def seen(delay: float = 40, uid: str = "u1", **changes: Any) -> Seen:
    values: dict[str, Any] = {
        "uid": uid, "namespace": "ns", "name": f"payments-{uid}", "type": "MemoryLeak",
        "target": "Deployment/payments", "severity": "high", "predicted": True, "seen_at": at(delay),
        "started_at": T0, **changes,
    }  # fmt: skip
    return Seen(**values)


def expect(*incidents: dict[str, Any], **rest: Any) -> Expect:
    return Expect.model_validate({"incidents": incidents, "within": "60s", **rest})


ERRORS = {"type": ["HighErrorRate"], "target": "Deployment/checkout"}
CASES: list[tuple[str, Expect, list[Seen], list[str]]] = [
    ("as expected", expect(LEAK), [seen()], []),
    ("nothing came", expect(LEAK), [], ["no MemoryLeak about Deployment/payments within 60 s"]),
    ("too late", expect(LEAK), [seen(75)], ["MemoryLeak Deployment/payments came after 75 s, not within 60 s"]),
    ("one too many", expect(LEAK), [seen(), seen(50, "u2", type="OOMKilled")],
     ["2 incidents instead of 1; not expected: OOMKilled Deployment/payments"]),
    ("twice the same", expect(LEAK), [seen(), seen(50, "u2")],
     ["2 incidents instead of 1; not expected: MemoryLeak Deployment/payments"]),
    ("another target", expect(LEAK), [seen(target="Deployment/checkout")],
     ["1 incidents instead of 1; not expected: MemoryLeak Deployment/checkout",
      "no MemoryLeak about Deployment/payments within 60 s"]),
    ("a report that does not hold", expect(LEAK), [seen(verified=Verified(8, ("grows: then 9; now 0",)))],
     ["the report of MemoryLeak Deployment/payments does not hold: grows: then 9; now 0"]),
    ("a report of which not all could be checked", expect(LEAK), [seen(verified=Verified(8, (), 2))], []),
    ("before the fault", expect(LEAK), [seen(-5)], ["MemoryLeak Deployment/payments was opened before the fault"]),
    ("two faults", expect(LEAK, ERRORS),
     [seen(), seen(50, "u2", type="HighErrorRate", target="Deployment/checkout")], []),
    ("any of several types", expect({**LEAK, "type": ["MemorySpike", "MemoryLeak"]}), [seen()], []),
    ("wrong cause", expect({**LEAK, "cause": "BadRollout"}), [seen(cause="TrafficGrowth")],
     ["first cause of MemoryLeak Deployment/payments is TrafficGrowth, not BadRollout"]),
    ("no cause", expect({**LEAK, "cause": "BadRollout"}), [seen()],
     ["first cause of MemoryLeak Deployment/payments is none, not BadRollout"]),
    ("a cause elsewhere", expect({**LEAK, "causeTarget": "Deployment/db"}), [seen(cause_target="Deployment/payments")],
     ["target of the first cause of MemoryLeak Deployment/payments is Deployment/payments, not Deployment/db"]),
    ("an action where none is due", expect({**LEAK, "action": "none"}), [seen(action="RestartDeployment")],
     ["action of MemoryLeak Deployment/payments is RestartDeployment, not none"]),
    ("not predicted", expect({**LEAK, "predicted": True}), [seen(predicted=False)],
     ["MemoryLeak Deployment/payments was not predicted"]),
    ("no verdict", expect({**LEAK, "verdict": "Effective"}), [seen(verdict="Inconclusive")],
     ["verdict of MemoryLeak Deployment/payments is Inconclusive, not Effective"]),
    ("quiet", Expect.model_validate({"none": "10m"}), [], []),
    ("not quiet", Expect.model_validate({"none": "10m"}), [seen()],
     ["1 incidents instead of 0; not expected: MemoryLeak Deployment/payments"]),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "found", "problems"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_judge(wanted: Expect, found: list[Seen], problems: list[str]) -> None:
    assert judge(wanted, found, T0) == problems


WHOLE = expect({**LEAK, "cause": "MemoryLeak", "verdict": "Effective"}, diagnosedWithin="30s", verifiedWithin="2m")


@pytest.mark.parametrize(
    ("wanted", "found", "now", "waiting"),
    [
        (WHOLE, [], 30, ["MemoryLeak Deployment/payments"]),
        (WHOLE, [], 61, []),
        (WHOLE, [seen(40)], 45, ["cause", "verdict"]),
        (WHOLE, [seen(40)], 75, ["verdict"]),
        (WHOLE, [seen(40, cause="MemoryLeak", verdict="Ineffective")], 50, []),
        (WHOLE, [seen(40)], 170, []),
        (Expect.model_validate({"none": "10m"}), [], 599, ["no incident"]),
        (Expect.model_validate({"none": "10m"}), [], 600, []),
        (Expect.model_validate({"none": "10m"}), [seen()], 60, []),
    ],
)
def test_it_waits_for_what_may_still_come_and_no_longer(
    wanted: Expect, found: list[Seen], now: float, waiting: list[str]
) -> None:
    assert pending(wanted, found, T0, at(now)) == waiting


def test_an_incident_that_is_deleted_still_counts_and_keeps_its_first_time() -> None:
    first = merged({}, [seen(40)])
    later = merged(first, [seen(50, cause="MemoryLeak"), seen(52, "u2")])
    assert later["u1"].seen_at == at(40)
    assert later["u1"].cause == "MemoryLeak"
    assert set(merged(later, [])) == {"u1", "u2"}


@pytest.mark.parametrize(
    ("values", "share", "value"),
    [([], 0.95, None), ([3.0], 0.95, 3.0), ([float(n) for n in range(1, 21)], 0.95, 19.0), ([4.0, 1.0, 2.0], 0.5, 2.0)],
)
def test_quantile_is_one_of_the_values(values: list[float], share: float, value: float | None) -> None:
    assert quantile(values, share) == value

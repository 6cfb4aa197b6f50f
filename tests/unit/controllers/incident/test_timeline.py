from __future__ import annotations

from datetime import timedelta

import pytest

from controllers.incident.chain import Chain, chain_of
from controllers.incident.timeline import forecast, humane, timeline
from crds.v1alpha1.actionplan import PlanState
from crds.v1alpha1.conditions import Wanted, merge
from crds.v1alpha1.detection import MetricEvidence, Prediction, Signal
from crds.v1alpha1.execution import ActionPhase
from crds.v1alpha1.incident import IncidentState, IncidentStatus, TimelineEntry, TimelineSource
from crds.v1alpha1.verification import Verdict
from tests.unit.controllers.incident.builders import TARGET, at, detection, incident, plan, report


def signal(summary: str) -> Signal:
    return Signal(
        type="MemoryLeak",
        rule="memory-leak",
        target=TARGET,
        first_seen_at=at(-60),
        last_seen_at=at(0),
        metrics=[MetricEvidence(query="slope(x)", summary=summary, value="3.1", unit="MiB/min")],
    )


def predicted(minutes: int) -> Prediction:
    expected = at(60 * minutes)
    return Prediction(
        resource="memory",
        limit="268435456",
        unit="bytes",
        expected_at=expected,
        earliest_at=expected - timedelta(minutes=1),
        latest_at=expected + timedelta(minutes=1),
    )


def whole_chain(summary: str = "grows 3.1 MiB/min", minutes: int = 5, told: list[TimelineEntry] | None = None) -> Chain:
    seen = detection(signals=[signal(summary)], prediction=predicted(minutes))
    found = incident(status=IncidentStatus(detection=seen, timeline=told or []))
    acted = plan(PlanState.VERIFIED, executed=ActionPhase.SUCCEEDED, verdict=Verdict.EFFECTIVE)
    return chain_of(found, [report()], [acted], [])


def test_the_story_is_told_in_order_with_the_source_of_each_line() -> None:
    conditions = merge([], [Wanted("Resolved", True, "Effective", "slope 0.0")], at(100))  # the second of the verdict
    entries = timeline(whole_chain(), conditions)
    assert [item.source.value for item in entries] == [
        "change", "metric", "predict", "incident", "rca", "plan", "action", "action", "verify", "incident",
    ]  # fmt: skip
    assert [item.at for item in entries] == sorted(item.at for item in entries)
    words = " | ".join(item.message for item in entries)
    assert "image v1.8 -> v1.9" in words
    assert "memory limit 256 MiB expected at 03:09:05 (03:08:05 to 03:10:05)" in words
    assert "opened: MemoryLeak, severity high" in words
    assert "memory grows since revision 7 (84 %)" in words
    assert entries[-1].message == "resolved: Effective. slope 0.0"
    assert "Restart deploy/payments: finished in 20 s, 2/2 ready" in words
    assert entries[4].reference == "rcareport/payments-leak-abcde"


def test_numbers_that_move_on_are_told_as_they_were_first() -> None:
    first = timeline(whole_chain(), [])
    assert timeline(whole_chain("grows 9.9 MiB/min", minutes=2, told=first), []) == first


def test_the_earlier_end_stays_in_the_story_when_it_reopens() -> None:
    conditions = merge([], [Wanted("Resolved", True, "Effective", "slope 0.0")], at(130))
    ended = timeline(whole_chain(), conditions)
    again = timeline(whole_chain(told=ended), [], reopened_at=at(300))
    assert [item.message for item in again if item.actor == "iirp-incident"] == [
        "resolved: Effective. slope 0.0",
        "reopened: the fault is seen again",
    ]
    assert timeline(whole_chain(told=again), []) == again


def test_a_storm_keeps_the_beginning_and_the_end() -> None:
    told = [
        TimelineEntry(at=at(200 + n), source=TimelineSource.INCIDENT, actor="iirp-incident", message=f"{n}: x")
        for n in range(48)
    ]
    entries = timeline(whole_chain(told=told), [])
    assert len(entries) == 48
    assert entries[0].source is TimelineSource.CHANGE
    assert entries[-1].message == "47: x"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        ("268435456", "bytes", "256 MiB"),
        ("512", "bytes", "512 B"),
        ("3.1", "MiB/min", "3.1 MiB/min"),
        ("NaN", "bytes", "NaN bytes"),
        ("1.5e3", "", "1500"),
    ],
)
def test_values_are_written_for_people(value: str, unit: str, text: str) -> None:
    assert humane(value, unit) == text


def test_signals_of_other_targets_are_named_and_each_keeps_its_first_word() -> None:
    def errors(name: str, share: int) -> Signal:
        return signal(f"{share}% of requests failed").model_copy(
            update={"rule": "error-rate", "target": TARGET.model_copy(update={"name": name})}
        )

    def story(share: int, told: list[TimelineEntry]) -> list[TimelineEntry]:
        seen = detection(
            signals=[errors("payments", share), errors("checkout", share), errors("frontend", share)],
            origin=TARGET.model_copy(update={"name": "ledger"}),
        )
        return timeline(chain_of(incident(status=IncidentStatus(detection=seen, timeline=told)), [], [], []), [])

    first = story(10, [])
    assert [item.message for item in story(90, first)] == [item.message for item in first]
    assert [item.message for item in first if item.source is TimelineSource.METRIC] == [
        "10% of requests failed",
        "deploy/checkout: 10% of requests failed",
        "deploy/frontend: 10% of requests failed",
    ]
    assert "points deeper: deploy/ledger, which the target needs, fails as well" in [item.message for item in first]


def killed(seconds: float) -> Signal:
    return signal("").model_copy(update={"type": "OOMKilled", "rule": "oom-killed", "first_seen_at": at(seconds)})


@pytest.mark.parametrize(
    ("active", "signals", "now", "outcome", "said"),
    [
        (True, [], 60, "Open", ""),
        (True, [killed(280)], 290, "CameTrue", "prediction came true: the harm came 20 s before the expected time"),
        (False, [], 60, "NotTrue", "prediction did not come true: the fault went away without harm"),
    ],
)
def test_what_became_of_a_prediction_is_told_once_it_is_known(
    active: bool, signals: list[Signal], now: float, outcome: str, said: str
) -> None:
    seen = detection(active, signals=signals, prediction=predicted(5))
    found = incident(predicted=True, status=IncidentStatus(detection=seen))
    word, line = forecast(found, at(now))
    assert word == outcome
    assert (line.message if line else "") == said
    story = timeline(chain_of(found, [], [], []), [], judged=line)
    assert sum(item.message.startswith("prediction ") for item in story) == bool(said)


@pytest.mark.parametrize("state", [IncidentState.REMEDIATING, IncidentState.VERIFYING])
def test_while_an_action_is_judged_its_prediction_is_open(state: IncidentState) -> None:
    seen = detection(False, prediction=predicted(5))
    found = incident(predicted=True, status=IncidentStatus(detection=seen, state=state))
    assert forecast(found, at(60)) == ("Open", None)
    assert forecast(found, at(6000)) == ("Open", None)


def test_an_incident_without_prediction_has_no_forecast() -> None:
    assert forecast(incident(), at(0)) == ("", None)

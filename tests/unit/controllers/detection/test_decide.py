"""From candidates and Incidents to writes: one Incident per fault, and honest ends."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from analysis.contract import Candidate, DetectResponse, SourceHealth
from controllers.detection.decide import Calm, Decision, Limits, decide, incident_name
from controllers.detection.lifecycle import held
from crds.v1alpha1.base import Scope, Severity, TargetRef
from crds.v1alpha1.detection import Prediction
from crds.v1alpha1.incident import Incident, IncidentState, IncidentStatus
from tests.unit.controllers.incident.builders import FINGERPRINT, TARGET, at, detection, incident

NOTHING_EXPECTED = Calm()
LIMITS = Limits(hold=timedelta(seconds=30), reopen_window=timedelta(minutes=10))


def candidate(kind: str = "MemoryLeak", **changes: Any) -> Candidate:
    fields: dict[str, Any] = {
        "type": kind,
        "scope": Scope.WORKLOAD,
        "target": TARGET,
        "fingerprint": FINGERPRINT if kind == "MemoryLeak" else hashlib.sha256(kind.encode()).hexdigest()[:16],
        "severity": Severity.HIGH,
        "confidence_percent": 90,
        "rule": kind.lower(),
        "summary": "working set grows 3.1 MiB/min",
        "onset": at(-60),
        "last_seen": at(0),
    }
    return Candidate(**(fields | changes))


def run(
    candidates: Sequence[Candidate] = (),
    incidents: Sequence[Incident] = (),
    *,
    now: datetime | None = None,
    absent: dict[str, datetime] | None = None,
    healthy: bool = True,
    settling: dict[str, datetime] | None = None,
    calm: Calm = NOTHING_EXPECTED,
) -> Decision:
    source = SourceHealth(name="prometheus", address="http://x", ok=healthy)
    response = DetectResponse(evaluated_at=at(0), candidates=tuple(candidates), sources=(source,))
    return decide(
        response,
        incidents,
        absent or {},
        now or at(0),
        platform_namespace="iirp-system",
        limits=LIMITS,
        settling_since=settling or {},
        calm=calm,
    )


def ended(state: IncidentState, *, seconds_ago: float, active: bool = False) -> Incident:
    end = at(-seconds_ago)
    return incident(status=IncidentStatus(state=state, resolved_at=end, detection=detection(active, last_seen_at=end)))


def test_a_new_fault_becomes_one_incident_with_its_first_status() -> None:
    decision = run([candidate(pods=("p-1", "p-2"), predicted=True)])
    (new,) = decision.create
    assert new.namespace == "shop"
    assert new.spec.fingerprint == FINGERPRINT
    assert new.spec.started_at == at(-60)
    assert new.spec.predicted
    assert new.detection.active
    assert [item.name for item in new.detection.affected] == ["p-1", "p-2"]
    assert not decision.refresh


def test_a_fault_of_a_node_is_kept_in_the_platforms_namespace() -> None:
    node = TargetRef(api_version="v1", kind="Node", name="n1", uid="u")
    (new,) = run([candidate(target=node, scope=Scope.NODE)]).create
    assert new.namespace == "iirp-system"


@pytest.mark.parametrize(
    "state", [None, *[item for item in IncidentState if item not in ("Resolved", "Recovered", "Closed")]]
)
def test_a_known_fault_makes_no_second_incident(state: IncidentState | None) -> None:
    known = incident(status=IncidentStatus(state=state, detection=detection()))
    assert not run([candidate()], [known]).create


def test_an_unchanged_fault_is_written_only_as_a_heartbeat() -> None:
    first = run([candidate()]).create[0].detection
    known = incident(status=IncidentStatus(detection=first))
    assert not run([candidate(last_seen=at(19))], [known]).refresh
    (beat,) = run([candidate(last_seen=at(20))], [known]).refresh
    assert not beat.urgent
    assert beat.detection.last_seen_at == at(20)


@pytest.mark.parametrize(
    "changed",
    [
        {"severity": Severity.CRITICAL},
        {"rule": "another"},
        {"pods": ("p-1",)},
    ],
)
def test_a_material_change_is_written_at_once(changed: dict[str, Any]) -> None:
    first = run([candidate()]).create[0].detection
    known = incident(status=IncidentStatus(detection=first))
    (write,) = run([candidate(**changed)], [known]).refresh
    assert write.urgent


def test_severity_only_rises_while_the_fault_is_on() -> None:
    known = incident(status=IncidentStatus(detection=detection(severity=Severity.CRITICAL)))
    (write,) = run([candidate(severity=Severity.LOW)], [known]).refresh
    assert write.detection.severity is Severity.CRITICAL


def test_signals_merge_by_rule_and_keep_their_beginning() -> None:
    first = run([candidate(onset=at(-60), count=1)]).create[0].detection
    known = incident(status=IncidentStatus(detection=first))
    (write,) = run([candidate(onset=at(-10), last_seen=at(30), count=5)], [known]).refresh
    (signal,) = write.detection.signals
    assert (signal.first_seen_at, signal.last_seen_at, signal.count) == (at(-60), at(30), 5)


def test_evidence_is_listed_behind_what_it_supports_however_old_it_is() -> None:
    shift = candidate("LevelShift", onset=at(-90_000))
    (new,) = run([candidate(signals=(shift, candidate("HighLatency", onset=at(-10))))]).create
    assert [item.type for item in new.detection.signals] == ["MemoryLeak", "HighLatency", "LevelShift"]
    assert new.spec.started_at == at(-60)


@pytest.mark.parametrize("symptom", ["OOMKilled", "CrashLoop", "Restarted"])
def test_a_symptom_joins_the_open_incident_of_its_target(symptom: str) -> None:
    decision = run([candidate(symptom), candidate()], [incident()])
    assert not decision.create
    (write,) = decision.refresh
    assert {item.type for item in write.detection.signals} == {"MemoryLeak", symptom}


def test_a_symptom_that_comes_with_its_fault_makes_no_incident_of_its_own() -> None:
    assert [item.spec.type for item in run([candidate("OOMKilled"), candidate()]).create] == ["MemoryLeak"]


def test_a_symptom_alone_is_a_fault() -> None:
    assert [item.spec.type for item in run([candidate("CrashLoop")]).create] == ["CrashLoop"]


def test_a_symptom_of_another_workload_is_not_merged() -> None:
    other = TARGET.model_copy(update={"name": "cart"})
    assert len(run([candidate("OOMKilled", target=other)], [incident()]).create) == 1


def test_another_primary_fault_of_the_same_target_is_another_incident() -> None:
    assert len(run([candidate("DiskFill")], [incident()]).create) == 1


def test_an_absent_fault_ends_after_the_hold_time_only() -> None:
    known = incident()
    first = run([], [known])
    assert not first.refresh
    uid = known.metadata.uid
    assert first.absent_since == {uid: at(0)}
    assert not run([], [known], now=at(29), absent=dict(first.absent_since)).refresh
    (write,) = run([], [known], now=at(30), absent=dict(first.absent_since)).refresh
    assert not write.detection.active
    assert write.urgent


@pytest.mark.parametrize(("reopened", "seconds"), [(0, 30), (1, 60), (2, 120), (3, 240), (9, 240)])
def test_what_flaps_is_held_longer_each_time(reopened: int, seconds: float) -> None:
    known = incident(status=IncidentStatus(detection=detection(), reopened=reopened))
    absent = {known.metadata.uid: at(0)}
    assert not run([], [known], now=at(seconds - 1), absent=absent).refresh
    assert run([], [known], now=at(seconds), absent=absent).refresh


def test_a_source_that_does_not_answer_never_ends_an_incident_and_restarts_the_hold_time() -> None:
    known = incident()
    uid = known.metadata.uid
    blind = run([], [known], now=at(3000), absent={uid: at(0)}, healthy=False)
    assert not blind.refresh
    assert blind.absent_since == {}
    assert run([], [known], now=at(3005), absent=dict(blind.absent_since)).absent_since == {uid: at(3005)}


def test_a_fault_that_is_back_starts_the_hold_time_anew() -> None:
    known = incident()
    assert run([candidate()], [known], absent={known.metadata.uid: at(-29)}).absent_since == {}


@pytest.mark.parametrize("state", [IncidentState.RESOLVED, IncidentState.RECOVERED])
@pytest.mark.parametrize(("seconds_ago", "reopens"), [(599, True), (601, False)])
def test_a_fault_that_returns_reopens_within_the_window(
    state: IncidentState, seconds_ago: float, reopens: bool
) -> None:
    decision = run([candidate()], [ended(state, seconds_ago=seconds_ago)])
    assert len(decision.create) == (0 if reopens else 1)
    assert [item.detection.active for item in decision.refresh] == ([True] if reopens else [])


def test_an_incident_that_a_person_closed_stays_closed_while_the_fault_goes_on() -> None:
    closed = incident(
        closed=True, status=IncidentStatus(state=IncidentState.CLOSED, resolved_at=at(-5000), detection=detection())
    )
    assert not run([candidate()], [closed]).create


def test_a_crash_between_create_and_first_status_is_healed() -> None:
    bare = incident(status=IncidentStatus())
    (write,) = run([candidate()], [bare]).refresh
    assert write.detection.active
    (over,) = run([], [bare], absent={bare.metadata.uid: at(-30)}).refresh
    assert not over.detection.active


def test_an_incident_that_a_person_declared_is_not_ours_to_end() -> None:
    declared = incident(status=IncidentStatus())
    declared.metadata.labels.clear()
    assert not run([], [declared], absent={declared.metadata.uid: at(-3000)}).refresh


def test_the_worst_is_written_first() -> None:
    cart = TARGET.model_copy(update={"name": "cart"})
    low = candidate(fingerprint="1" * 16, severity=Severity.LOW)
    high = candidate(fingerprint="2" * 16, severity=Severity.CRITICAL, target=cart)
    assert [item.spec.severity for item in run([low, high]).create] == [Severity.CRITICAL, Severity.LOW]


def test_a_long_summary_is_cut_and_never_refused() -> None:
    (new,) = run([candidate(summary="x" * 9999, rule="r" * 999, pods=tuple(f"p-{n}" for n in range(99)))]).create
    assert len(new.spec.summary) == 300
    assert len(new.detection.affected) == 8


@pytest.mark.parametrize(
    ("workload", "kind", "start"),
    [
        ("payments", "MemoryLeak", "payments-leak-"),
        ("payments", "HighErrorRate", "payments-high-error-rate-"),
        ("Node.Example_1", "DiskFill", "node-example-1-disk-fill-"),
        ("x" * 200, "OOMKilled", "x" * 40),
    ],
)
def test_names_are_short_valid_and_speak(workload: str, kind: str, start: str) -> None:
    target = TARGET.model_copy(update={"name": workload})
    name = incident_name(target, kind, FINGERPRINT, at(0))
    assert name.startswith(start)
    assert len(f"{name}-123") <= 63
    assert name == name.lower()
    assert "_" not in name
    assert name == incident_name(target, kind, FINGERPRINT, at(0))
    assert name != incident_name(target, kind, FINGERPRINT, at(1))


CHECKOUT = TARGET.model_copy(update={"name": "checkout", "uid": "uid-checkout"})


def caller(kind: str = "HighErrorRate", **changes: Any) -> Candidate:
    return candidate(kind, **({"target": CHECKOUT, "fingerprint": "c" * 16} | changes))


def test_a_fault_with_what_follows_from_it_is_one_incident_that_lists_all_of_it() -> None:
    (new,) = run([candidate(signals=(caller(severity=Severity.CRITICAL, count=7),))]).create
    assert [(item.type, item.target.name) for item in new.detection.signals] == [
        ("MemoryLeak", "payments"),
        ("HighErrorRate", "checkout"),
    ]
    assert [(item.target, item.count) for item in new.detection.members] == [
        ("deploy/payments", 1),
        ("deploy/checkout", 7),
    ]
    assert new.detection.severity is Severity.CRITICAL
    assert new.detection.merged == 2


def test_a_storm_of_signals_keeps_the_targets_own_and_counts_the_rest() -> None:
    others = tuple(
        caller(fingerprint=f"{n:016x}", onset=at(-900), target=TARGET.model_copy(update={"name": f"caller-{n}"}))
        for n in range(99)
    )
    (new,) = run([candidate(signals=others)]).create
    assert new.detection.merged == 100
    assert new.detection.signals[0].target.name == "payments"
    assert (len(new.detection.signals), len(new.detection.members)) == (6, 24)


def test_an_incident_that_goes_on_in_its_signals_only_shows_nothing_of_its_own() -> None:
    (write,) = run([candidate(observed=False, signals=(caller(),), origin=CHECKOUT)], [incident()]).refresh
    assert [item.target.name for item in write.detection.signals] == ["checkout"]
    assert write.detection.origin == CHECKOUT


def test_what_may_be_somebody_elses_fault_is_opened_after_the_settling_time() -> None:
    early = caller(provisional=True)
    first = run([early])
    assert not first.create
    deeper = candidate("HighLatency", provisional=True, signals=(early,))  # another root by then: no new wait
    second = run([deeper], now=at(10), settling=dict(first.settling_since))
    assert not second.create
    (new,) = run([deeper], now=at(15), settling=dict(second.settling_since)).create
    assert new.spec.type == "HighLatency"
    assert not run([caller(provisional=True, severity=Severity.CRITICAL)]).create, "the wrong target helps nobody"


def test_what_is_sent_along_is_what_is_on_or_may_reopen() -> None:
    gone = ended(IncidentState.RECOVERED, seconds_ago=601)
    recent = ended(IncidentState.RECOVERED, seconds_ago=599)
    sent = held([gone, recent, incident(name="b")], at(0), LIMITS.reopen_window)
    assert [(item.uid, item.active) for item in sent] == [("uid-b", True), (recent.metadata.uid, False)]


QUIET = Calm(silenced=lambda target: "load test" if target.name == "payments" else "")


def test_a_silenced_target_opens_and_reopens_nothing_but_what_is_on_goes_on() -> None:
    fault = candidate(signals=(caller(),))
    opened = run([fault], calm=QUIET)
    assert (opened.create, opened.silenced) == ((), ((fault, "load test"),))
    assert not run([fault], [ended(IncidentState.RESOLVED, seconds_ago=60)], calm=QUIET).refresh
    assert run([fault], [incident()], calm=QUIET).refresh
    assert run([caller()], calm=QUIET).create, "another target is not silenced"


def test_errors_of_a_rollout_are_waited_for_and_crashes_are_not() -> None:
    rolling = Calm(rolling=frozenset({("Deployment", "shop", "payments")}))
    first = run([candidate("HighErrorRate")], calm=rolling)
    assert not first.create
    later = run([candidate("HighErrorRate")], now=at(60), settling=dict(first.settling_since), calm=rolling)
    assert later.create
    assert run([candidate("CrashLoop")], calm=rolling).create
    assert run([candidate("HighErrorRate", severity=Severity.CRITICAL)], calm=rolling).create


@pytest.mark.parametrize(("interrupted", "opened"), [("shop", False), ("other", True)])
def test_callers_of_what_is_being_replaced_are_waited_for_however_much_they_fail(
    interrupted: str, opened: bool
) -> None:
    fault = candidate("HighErrorRate", severity=Severity.CRITICAL)
    calm = Calm(interrupted=frozenset({interrupted}))
    first = run([fault], calm=calm)
    assert bool(first.create) is opened
    if not opened:
        assert run([fault], now=at(60), settling=dict(first.settling_since), calm=calm).create
        assert run([fault], now=at(10), settling=dict(first.settling_since)).create, "over, and it fails still"


def test_what_was_predicted_is_kept_until_it_can_be_judged() -> None:
    foreseen = Prediction(
        resource="memory", limit="1", unit="bytes", expected_at=at(60), earliest_at=at(50), latest_at=at(70)
    )
    first = run([candidate(prediction=foreseen)]).create[0].detection
    known = incident(status=IncidentStatus(detection=first))
    (write,) = run([candidate("OOMKilled", last_seen=at(65)), candidate(last_seen=at(65))], [known]).refresh
    assert write.detection.prediction == foreseen

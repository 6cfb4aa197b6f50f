from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.config import DATA_ROOT
from analysis.rca.catalogue import Cause, load_causes
from analysis.rca.facts import BeforeAfter
from analysis.rca.service import explain
from crds.v1alpha1.actions import ActionType
from crds.v1alpha1.base import TargetRef
from crds.v1alpha1.rcareport import RCAReportStatus
from tests.unit.analysis.rca.world import (
    ONSET,
    POD,
    SIBLINGS,
    at,
    facts,
    logs,
    memory,
    neighbours,
    pod,
    request,
    rollout,
)
from tests.unit.analysis.shapes import flat, leak, sampled, step

CAUSES: tuple[Cause, ...] = load_causes(DATA_ROOT / "causes")
NAN = float("nan")


def report(*args, **kwargs):
    return explain(CAUSES, facts(*args, **kwargs))[0]


def test_a_plain_leak_is_explained_with_evidence_and_what_was_ruled_out() -> None:
    found = report()
    best, *others = found.root_causes
    assert (best.kind, best.refuted) == ("MemoryLeak", False)
    assert best.confidence_percent >= 80
    assert best.summary.startswith("memory leak: 48.0 MiB/min since ") or best.summary.startswith("memory leak: 47.")
    assert len(best.summary) <= 45
    assert [one.id for one in best.evidence] == ["memory-grows", "siblings-flat", "new-log-lines"]
    assert all(one.query and one.result_digest for one in best.evidence)
    assert best.evidence[0].at is not None
    assert abs((best.evidence[0].at - at(ONSET)).total_seconds()) < 10
    assert [one.refuted for one in best.refuters] == [False, False]
    assert {one.kind: one.refuted for one in others} == {"TrafficGrowth": True, "NodePressure": True}
    assert "traffic growth (requests −2 %" in {one.kind: one.summary for one in others}["TrafficGrowth"]
    (action,) = found.recommended_actions
    assert action.action.type is ActionType.RESTART_DEPLOYMENT
    assert action.action.target.uid == "uid-payments"
    assert action.cause_id == best.id


def test_equal_facts_give_equal_bytes() -> None:
    assert report().model_dump_json() == report().model_dump_json()


def test_a_rollout_that_the_growth_began_with_is_named() -> None:
    series = {POD: sampled(leak(700.0), first=700.0), **SIBLINGS}
    with_rollout = report(request(changes=(rollout(690.0),)), memory=memory(series))
    best = with_rollout.root_causes[0]
    assert best.summary == "memory grows since rollout rev 7 (image v1.8 -> v1.9)"
    assert best.confidence_percent > report(memory=memory(series)).root_causes[0].confidence_percent


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (rollout(690.0, revision="1"), "its creation is not a change"),
        (rollout(850.0), "after the onset"),
        (rollout(690.0).model_copy(update={"summary": "restarted by action act-1"}), "a restart changes nothing"),
        (rollout(400.0), "the pod ran well in between"),
    ],
)
def test_other_rollouts_are_not_blamed(change, why: str) -> None:
    assert report(request(changes=(change,))).root_causes[0].summary.startswith("memory leak"), why


def test_more_traffic_refutes_the_leak_and_asks_for_replicas() -> None:
    found = report(traffic=BeforeAfter(8.0, 13.0, "q", trend=0.4))
    assert found.root_causes[0].kind == "TrafficGrowth"
    (leak_cause,) = [one for one in found.root_causes if one.kind == "MemoryLeak"]
    assert leak_cause.refuted
    assert leak_cause.confidence_percent < 10
    (action,) = found.recommended_actions
    assert action.action.describe().endswith("to 4")


def test_memory_that_grows_under_a_constant_load_is_a_leak_whatever_the_load_was_before() -> None:
    found = report(traffic=BeforeAfter(0.8, 2.4, "q", trend=0.02))
    assert found.root_causes[0].kind == "MemoryLeak"
    growth = next(one for one in found.root_causes if one.kind == "TrafficGrowth")
    assert growth.refuted
    assert "while memory" in growth.summary


def test_a_leak_that_was_called_a_spike_is_still_explained() -> None:
    assert report(request("MemorySpike")).root_causes[0].kind == "MemoryLeak"


def test_growth_everywhere_is_not_this_workloads_leak() -> None:
    everywhere = {name: sampled(leak(ONSET)) for name in (POD, *SIBLINGS)}
    found = report(memory=memory(everywhere))
    assert next(one for one in found.root_causes if one.kind == "MemoryLeak").refuted
    assert found.recommended_actions == ()


def test_without_metrics_confidence_is_low_and_nothing_is_recommended() -> None:
    found = report(
        memory=None, traffic=None, node_free=None, upstream=None, logs=None, missing=("Prometheus at x: down",)
    )
    assert found.missing_data == ("Prometheus at x: down",)
    assert all(not one.refuted for one in found.root_causes)
    assert max(one.confidence_percent for one in found.root_causes) < 25
    assert found.recommended_actions == ()


def test_pods_of_an_earlier_rollout_do_not_count() -> None:
    gone = {"payments-5f5f5f5f5f-zzzzz": sampled(leak(300.0), last=600.0)}
    found = report(memory=memory({POD: sampled(leak(ONSET)), **gone, **SIBLINGS}))
    assert "on 1 of 1 pods" in found.root_causes[0].evidence[0].summary


def test_flat_memory_refutes_the_leak() -> None:
    found = report(memory=memory({POD: sampled(flat()), **SIBLINGS}))
    leak_cause = next(one for one in found.root_causes if one.kind == "MemoryLeak")
    assert leak_cause.refuted
    assert leak_cause.refuters[0].result == "the working set does not grow steadily"


def test_a_spike_is_told_from_a_leak() -> None:
    found = report(request("MemorySpike"), memory=memory({POD: sampled(step(ONSET, 42.0, 180.0)), **SIBLINGS}))
    assert found.root_causes[0].kind == "MemorySpike"
    assert "jumped" in found.root_causes[0].summary


def test_an_oom_kill_is_explained_from_the_life_before_it() -> None:
    def shape(t: np.ndarray) -> np.ndarray:
        return np.where(t < ONSET, 42.0 + np.maximum(0.0, t - 500.0) * 0.75, 42.0)

    killed = (pod(last_termination_reason="OOMKilled", last_termination_at=at(ONSET)),)
    found = report(request("OOMKilled", pods=killed), memory=memory({POD: sampled(shape), **SIBLINGS}, ended=True))
    assert found.root_causes[0].kind == "MemoryLeak"
    assert "oom-killed" in [one.id for one in found.root_causes[0].evidence]


def test_a_steady_level_near_the_limit_means_a_tight_limit() -> None:
    killed = (pod(last_termination_reason="OOMKilled", last_termination_at=at(ONSET)),)
    near = memory({POD: sampled(flat(235.0)), **SIBLINGS}, ended=True)
    assert report(request("OOMKilled", pods=killed), memory=near).root_causes[0].kind == "MemoryLimitTooLow"


def test_slow_upstream_explains_latency() -> None:
    slow = {"payments": BeforeAfter(0.05, 2.1, "q"), "catalogue": BeforeAfter(0.05, 0.05, "q")}
    found = report(request("HighLatency"), upstream=slow)
    assert found.root_causes[0].kind == "DependencySlow"
    assert "calls to payments" in found.root_causes[0].evidence[0].summary
    assert found.recommended_actions == ()


def test_the_callee_that_stands_out_is_named() -> None:
    slow = {"payments": BeforeAfter(0.05, 2.1, "q")}
    found = report(request("HighLatency"), upstream=slow, neighbours=neighbours(payments=0.05, bank=1.9))
    evidence = {one.id: one for one in found.root_causes[0].evidence}
    assert "bank stands out: latency" in evidence["origin-in-callee"].summary
    assert "http_request_duration_seconds_bucket" in evidence["origin-in-callee"].query


def test_a_workload_that_is_slow_itself_does_not_blame_its_callees() -> None:
    found = report(request("HighLatency"), upstream={}, neighbours=neighbours(payments=2.0, bank=0.05))
    assert "origin-in-callee" not in {one.id for one in found.root_causes[0].evidence}


@pytest.mark.parametrize(
    "kind", ["MemoryLeak", "MemorySpike", "OOMKilled", "CrashLoop", "HighLatency", "Evicted", "Odd"]
)
@pytest.mark.parametrize("blind", [False, True])
def test_every_report_fits_the_api(kind: str, blind: bool) -> None:
    missing = {"memory": None, "traffic": None, "node_free": None, "upstream": None, "logs": None} if blind else {}
    found = report(request(kind, changes=(rollout(690.0),)), **missing)
    RCAReportStatus(
        root_causes=list(found.root_causes),
        recommended_actions=list(found.recommended_actions),
        missing_data=list(found.missing_data),
        evidence_digest=found.evidence_digest,
    )


def test_only_deployments_are_acted_upon() -> None:
    bare = TargetRef(api_version="v1", kind="Pod", namespace="shop", name=POD, uid="p")
    assert report(request(target=bare)).recommended_actions == ()


def test_hostile_log_lines_stay_one_printable_line() -> None:
    found = report(logs=logs(("<script>alert(1)</script>\x1b[31m\nIgnore all rules", 3)))
    summary = next(one for one in found.root_causes[0].evidence if one.id == "new-log-lines").summary
    assert summary.isprintable()
    assert len(summary) <= 300


def test_numbers_that_are_not_there_do_not_appear() -> None:
    found = report(traffic=BeforeAfter(NAN, 8.0, "q"), node_free=BeforeAfter(NAN, NAN, "q"))
    assert "nan" not in found.model_dump_json().lower()
    assert math.isfinite(found.root_causes[0].confidence_percent)

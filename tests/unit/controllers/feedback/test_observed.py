"""Verdicts on faults that the API server itself reports: from detection and the targets, never from one alone."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.feedback.observed import STATES
from controllers.kube.errors import Forbidden
from controllers.runtime.outcome import Done, Requeue
from crds.v1alpha1.actions import Action, ActionType, RollbackParameters
from crds.v1alpha1.verification import Verdict
from tests.fakes.chain import INCIDENT, NS, PLAN, deployment, restart
from tests.unit.controllers.feedback.test_reconcile import GRACE, WINDOW, Room

STARTED, FINISHED = "2026-01-02T03:03:55Z", "2026-01-02T03:04:05Z"
AFTER = "2026-01-02T03:04:10Z"
LONG_BEFORE = "2026-01-02T03:00:00Z"


def room(kind: str = "ImagePullFailed", *, active: bool = False, seen: str = FINISHED, **fields: Any) -> Room:
    made = Room()
    stored = made.kube.objects["incidents", NS, INCIDENT]
    stored["spec"]["type"] = kind
    detection = {"active": active, "lastSeenAt": seen, "severity": "high"}
    stored["status"] = {**stored.get("status", {}), "detection": detection}
    body = deployment(**fields)
    made.kube.objects["deployments", NS, "payments"] = {**made.kube.objects["deployments", NS, "payments"], **body}
    return made


def written_by(manager: str, at: str, part: str = "f:spec") -> list[dict[str, Any]]:
    return [{"manager": manager, "operation": "Update", "time": at, "fieldsV1": {part: {"f:template": {}}}}]


def ends(made: Room) -> tuple[Verdict | None, str]:
    """What is said when the window has just ended."""
    made.clock.forward(WINDOW)
    made.run()
    assert made.status is not None
    return made.status.verdict, made.status.reason


@pytest.mark.parametrize("kind", sorted(STATES))
def test_a_fault_that_is_over_with_all_pods_there_was_cured(kind: str) -> None:
    made = room(kind)
    assert ends(made) == (Verdict.EFFECTIVE, "FaultGone")
    assert made.status is not None
    assert "last seen at 03:04:05" in made.status.message
    assert "2/2 available" in made.status.message
    (measured,) = made.status.measurements
    assert (measured.name, measured.before, measured.after) == ("fault seen", "1", "0")
    assert made.asked == [], "no server outside the cluster is needed"


def test_nothing_is_called_cured_before_the_window_ends() -> None:
    made = room()
    assert made.run() == Requeue(5.0)
    assert made.status is not None
    assert (made.status.verdict, made.status.reason) == (None, "Observing")


def test_a_fault_that_comes_back_within_the_window_was_not_cured() -> None:
    made = room()
    made.run()
    detection = made.kube.objects["incidents", NS, INCIDENT]["status"]["detection"]
    made.clock.forward(WINDOW - 10)
    detection |= {"active": True, "lastSeenAt": made.clock.now.isoformat()}
    made.clock.forward(10)
    made.run()
    assert made.status is not None
    assert (made.status.verdict, made.status.reason) == (Verdict.INEFFECTIVE, "StillSeen")


def test_a_fault_that_was_gone_before_the_action_recovered_anyway() -> None:
    made = room(seen=LONG_BEFORE)
    assert made.run() == Done()
    assert made.status is not None
    assert (made.status.verdict, made.status.reason) == (Verdict.RECOVERED_ANYWAY, "GoneBeforeAction")


def behind(made: Room) -> None:
    made.kube.objects["deployments", NS, "payments"]["status"]["availableReplicas"] = 1


def unread(made: Room) -> None:
    refused = Forbidden("Forbidden", "may not get deployments")
    made.kube.fail = lambda verb, plural, *_: refused if (verb, plural) == ("get", "deployments") else None


def gone(made: Room) -> None:
    del made.kube.objects["deployments", NS, "payments"]


def replaced(made: Room) -> None:
    made.kube.objects["deployments", NS, "payments"]["metadata"]["uid"] = "another"


def to_zero(made: Room) -> None:
    made.kube.objects["deployments", NS, "payments"] |= deployment(replicas=0)


def dead_detection(made: Room) -> None:
    made.kube.objects["incidents", NS, INCIDENT]["status"]["detection"]["active"] = True


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (behind, "NotComplete"),
        (unread, "TargetUnread"),
        (gone, "NotComplete"),
        (replaced, "NotComplete"),
        (to_zero, "NotComplete"),
        (dead_detection, "DetectionSilent"),
    ],
)
def test_s11_what_is_not_known_to_be_well_is_never_a_success(break_it: Any, reason: str) -> None:
    made = room()
    break_it(made)
    made.clock.forward(WINDOW + GRACE - 11)
    assert made.run() == Requeue(5.0)
    made.clock.forward(11)
    assert made.run() == Done()
    assert made.status is not None
    assert (made.status.verdict, made.status.reason) == (Verdict.INCONCLUSIVE, reason)


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        pytest.param(written_by("kubectl-edit", AFTER), (Verdict.INCONCLUSIVE, "ChangedByOthers"), id="a person"),
        pytest.param(written_by("argocd-controller", AFTER), (Verdict.INCONCLUSIVE, "ChangedByOthers"), id="Argo CD"),
        pytest.param(written_by("kubectl-edit", LONG_BEFORE), (Verdict.EFFECTIVE, "FaultGone"), id="long before"),
        pytest.param(written_by("iirp-execution", AFTER), (Verdict.EFFECTIVE, "FaultGone"), id="the executor"),
        pytest.param(written_by("kubectl", AFTER, "f:metadata"), (Verdict.EFFECTIVE, "FaultGone"), id="only a label"),
    ],
)
def test_what_somebody_else_changed_meanwhile_is_nobodys_success(
    fields: list[dict[str, Any]], outcome: tuple[Verdict, str]
) -> None:
    made = room()
    made.kube.objects["deployments", NS, "payments"]["metadata"]["managedFields"] = fields
    assert ends(made) == outcome


ROLLBACK = {"type": ActionType.ROLLBACK, "rollback": RollbackParameters(revision=6, replica_set="payments-5f")}


@pytest.mark.parametrize(("action", "asks"), [(restart(), True), (restart().model_copy(update=ROLLBACK), False)])
def test_only_a_rollback_ends_a_crash_loop_by_what_is_seen(action: Action, asks: bool) -> None:
    made = room("CrashLoop")
    made.kube.objects["actionplans", NS, PLAN]["spec"]["actions"] = [action.to_wire()]
    made.run()
    assert bool(made.asked) is asks, "after a restart the memory has to show that it does not come back"

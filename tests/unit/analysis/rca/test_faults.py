"""The first cause is the fault that was put in; what it was not says why; the same facts give the same bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.contract import Change, EventFact
from analysis.rca.facts import BeforeAfter
from analysis.rca.rank import shown
from tests.unit.analysis.rca.faults import FAULTS
from tests.unit.analysis.rca.faults.shop import CAUSES, CHECKOUT, FAILING, SLOW, event, explained, told
from tests.unit.analysis.rca.world import ONSET, TARGET, at, facts, pod, rollout


@pytest.mark.parametrize("fault", FAULTS)
def test_the_first_cause_is_the_fault(fault: str) -> None:
    given, kind, target = FAULTS[fault]
    first = explained(given).root_causes[0]
    assert (first.kind, first.target.name, first.refuted) == (kind, target, False), [
        (one.kind, one.confidence_percent, one.refuted) for one in explained(given).root_causes
    ]
    assert first.confidence_percent >= 40
    assert first.evidence
    assert first.refuters


@pytest.mark.parametrize("fault", FAULTS)
def test_alternatives_are_there_and_what_was_ruled_out_says_why(fault: str) -> None:
    others = explained(FAULTS[fault].facts).root_causes[1:]
    refuted = [one for one in others if one.refuted]
    assert [one.refuted for one in others] == sorted(one.refuted for one in others)
    assert all(any(refuter.refuted and refuter.result for refuter in one.refuters) for one in refuted)


REFUSED = event("Unhealthy", "Readiness probe failed: connection refused", second=ONSET - 80)
ERRORS = {"measured": {"own-errors-rose": (0.0, 0.3)}, "lines": {"error-lines": 40}}


@pytest.mark.parametrize(
    ("early", "ready", "there"),
    [(REFUSED, True, False), (REFUSED, False, True), (REFUSED.model_copy(update={"at": at(ONSET + 5)}), True, True)],
)
def test_a_pod_that_was_slow_to_start_before_the_onset_is_no_cause(
    early: EventFact, *, ready: bool, there: bool
) -> None:
    found = explained(told("HighErrorRate", events=(early,), pods=(pod(ready=ready),), **ERRORS))
    standing = {one.kind for one in found.root_causes if not one.refuted}
    assert ("ProbeFailing" in standing) is there


@pytest.mark.parametrize(
    ("unread", "kind"),
    [("configmaps", "ConfigChange"), ("networkpolicies", "NetworkPolicyChange"), ("resourcequotas", "QuotaExceeded")],
)
def test_what_the_platform_may_not_read_is_neither_claimed_nor_ruled_out(unread: str, kind: str) -> None:
    (cause,) = [one for one in CAUSES.causes if one.kind == kind]
    probes = {"config-changed", "network-policy-changed", "quota-changed"} & set(cause.probes())
    given = told("HighErrorRate", **ERRORS)
    for name in probes:
        assert CAUSES.run(name, given).answer is False
        assert (
            CAUSES.run(name, replace(given, request=given.request.model_copy(update={"unread": (unread,)}))).answer
            is None
        )
    assert probes


def test_what_could_not_be_looked_at_is_not_told_as_if_it_were_so() -> None:
    found = explained(replace(told("HighErrorRate", **ERRORS), measured={}))
    unseen = [one.summary for one in found.root_causes if not one.refuted and not one.evidence]
    assert unseen
    assert all("not excluded" in one for one in unseen)


@pytest.mark.parametrize(("standing", "refuted", "shown_refuted"), [(6, 3, 2), (4, 1, 1), (1, 9, 4), (7, 0, 0)])
def test_what_it_was_not_has_its_place_beside_what_it_may_be(standing: int, refuted: int, shown_refuted: int) -> None:
    one = explained(FAULTS["bad rollout"].facts).root_causes[0]
    found = shown([one] * standing, [one.model_copy(update={"refuted": True})] * refuted)
    assert len(found) == min(5, standing + refuted)
    assert [cause.refuted for cause in found[-shown_refuted or len(found) :]] == [True] * shown_refuted


@pytest.mark.parametrize("fault", FAULTS)
def test_the_same_facts_give_the_same_bytes(fault: str) -> None:
    assert explained(FAULTS[fault].facts).model_dump_json() == explained(FAULTS[fault].facts).model_dump_json()


def test_where_detection_saw_the_signals_point_counts_for_the_dependency() -> None:
    given = told("HighErrorRate", target=CHECKOUT, upstream_errors=FAILING)
    incident = given.request.incident.model_copy(update={"origin": TARGET})
    pointed = replace(given, request=given.request.model_copy(update={"incident": incident}))
    before, after = (explained(one).root_causes[0] for one in (given, pointed))
    assert (after.kind, after.target.name) == ("DependencyFailing", "payments")
    assert after.confidence_percent > before.confidence_percent
    assert "signals-point-elsewhere" in {one.id for one in after.evidence}


def test_a_type_that_no_cause_names_is_looked_at_by_all() -> None:
    assert explained(told("SomethingNew", upstream=SLOW, target=CHECKOUT)).root_causes[0].kind == "DependencySlow"


def test_merged_signals_bring_their_causes_along() -> None:
    given = told("ZeroEndpoints", target=TARGET)
    asked = given.request.model_copy(
        update={"incident": given.request.incident.model_copy(update={"signals": ("MemoryLeak",)})}
    )
    found = explained(replace(facts(asked), measured=given.measured))
    assert found.root_causes[0].kind == "MemoryLeak"


def test_when_nothing_fits_nothing_is_claimed() -> None:
    found = explained(
        told("HighErrorRate", target=CHECKOUT, upstream=SLOW | {"payments": BeforeAfter(0.03, 0.03, "q")})
    )
    assert all(one.refuted or one.confidence_percent < 15 for one in found.root_causes), [
        (one.kind, one.confidence_percent) for one in found.root_causes
    ]
    assert found.recommended_actions == ()


def test_missing_data_lowers_the_confidence() -> None:
    given = told("HighErrorRate", measured={"own-errors-rose": (0.0, 0.3)}, lines={"error-lines": 40})
    blind = replace(given, counted={}, logs=None)
    assert explained(blind).root_causes[0].confidence_percent < explained(given).root_causes[0].confidence_percent


@pytest.mark.parametrize(
    ("changes", "less"),
    [
        ((rollout(ONSET - 700),), "long before the onset"),
        (tuple(rollout(ONSET - 40 - 60 * n, str(12 - n)) for n in range(8)), "changes all the time"),
        ((rollout(ONSET - 40).model_copy(update={"summary": "annotations team changed"}),), "touched little"),
    ],
)
def test_a_change_that_says_less_is_blamed_less(changes: tuple[Change, ...], less: str) -> None:
    def confidence(*listed: Change) -> int:
        given = told("HighErrorRate", measured={"own-errors-rose": (0.0, 0.3)}, changes=listed)
        return next(one.confidence_percent for one in explained(given).root_causes if one.kind == "BadRollout")

    assert confidence(*changes) < confidence(rollout(ONSET - 40)), less


@pytest.mark.parametrize(
    ("fault", "action"),
    [
        ("replicas taken away", "Scale deploy/payments to 3"),
        ("too big for any node since a rollout", "Roll back deploy/payments to revision 6"),
        ("a LimitRange, in a rollout", "Roll back deploy/payments to revision 6"),
        ("new version that needs more memory than it may have", "Roll back deploy/payments to revision 6"),
    ],
)
def test_what_brings_back_what_ran(fault: str, action: str) -> None:
    first = explained(FAULTS[fault].facts).recommended_actions[0].action
    assert first.describe() == action


@pytest.mark.parametrize("fault", [name for name in FAULTS if name.startswith("a StatefulSet's rollout")])
def test_the_rollout_of_a_stateful_set_is_told_with_its_difference_and_rolled_back_by_people(fault: str) -> None:
    found = explained(FAULTS[fault].facts)
    (change,) = FAULTS[fault].facts.request.changes
    told_of = [one for one in found.root_causes[0].evidence if one.id == "rollout-before-onset"]
    assert [change.summary in one.summary and one.query == change.reference for one in told_of] == [True]
    assert "Rollback" not in {one.action.type for one in found.recommended_actions}


def test_the_rollback_of_a_namesake_is_not_proposed() -> None:
    """A StatefulSet may be called as a Deployment is: the revisions of the one are none of the other."""
    given = FAULTS["a StatefulSet's rollout with an env that breaks it"].facts
    incident = given.request.incident.model_copy(update={"target": TARGET})
    found = explained(replace(given, request=given.request.model_copy(update={"incident": incident})))
    assert "Rollback" not in {one.action.type for one in found.recommended_actions}


def test_what_only_a_log_line_names_is_looked_at_and_not_acted_upon() -> None:
    found = explained(FAULTS["database that is scaled to zero, without which nothing starts"].facts)
    assert found.root_causes[0].target.name == "payments"
    assert found.recommended_actions == ()


def test_a_rollback_that_would_bring_nothing_back_is_not_proposed() -> None:
    found = explained(FAULTS["configuration written, and a checksum that rolled the pods"].facts)
    assert found.recommended_actions == ()
    rollout_cause = next(one for one in found.root_causes if one.kind == "BadRollout")
    assert rollout_cause.refuted
    assert "Config x written" in rollout_cause.summary

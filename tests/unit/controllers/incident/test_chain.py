from __future__ import annotations

from controllers.incident.chain import chain_of, next_plan_name, report_name
from crds.v1alpha1.actionplan import PlanState
from crds.v1alpha1.base import LocalRef
from crds.v1alpha1.execution import ActionPhase
from tests.unit.controllers.incident.builders import incident, plan, report

INCIDENT = incident()


def test_objects_of_a_namesake_do_not_count() -> None:
    other = incident(name="other")
    chain = chain_of(INCIDENT, [report(), report(of=other)], [plan(), plan(of=other)], [])
    assert len(chain.reports) == len(chain.plans) == 1


def test_each_episode_has_its_own_report_and_plans() -> None:
    first, second = report(), report(name=report_name(INCIDENT, 1), created=1000)
    plans = [plan(PlanState.VERIFIED, executed=ActionPhase.SUCCEEDED), plan(number=2, created=1005, of_report=second)]
    chain = chain_of(INCIDENT, [first, second], plans, [])
    assert chain.report(0) == first
    assert chain.plan(first, 0) == plans[0]
    assert chain.plan(chain.report(1), 1) == plans[1]
    assert chain.plan(None, 1) is None, "before the new diagnosis the old plan says nothing"


def test_a_plan_of_a_person_counts_from_its_time_on() -> None:
    second = report(name=report_name(INCIDENT, 1), created=1000)
    old, new = plan(number=2, created=500, by_person=True), plan(number=3, created=2000, by_person=True)
    chain = chain_of(INCIDENT, [second], [old, new], [])
    assert chain.plan(second, 1) == new
    assert chain_of(INCIDENT, [second], [old], []).plan(second, 1) is None


def test_a_superseded_plan_steps_back_unless_it_has_acted() -> None:
    first = plan()
    better = plan(number=2, created=10)
    better = better.model_copy(
        update={
            "spec": better.spec.model_copy(
                update={"supersedes": LocalRef(name=first.metadata.name, uid=first.metadata.uid)}
            )
        }
    )
    assert chain_of(INCIDENT, [], [first, better], []).plan(report(), 0) == better
    assert chain_of(INCIDENT, [], [plan(PlanState.SUPERSEDED)], []).plan(report(), 0) is None


def test_plan_numbers_go_up_and_never_repeat() -> None:
    assert next_plan_name(INCIDENT, []) == "payments-leak-abcde-1"
    assert next_plan_name(INCIDENT, [plan(number=1), plan(number=12)]) == "payments-leak-abcde-13"

"""The judge of `make safety`: a refusal counts only when it is the API server's, for the reason expected."""

from __future__ import annotations

import pytest

from tests.safety.api import Reply
from tests.safety.case import APPROVALS, EXECUTOR, RBAC, SCHEMA, Case, judge, refusal
from tests.safety.fields import changes, merged
from tests.safety.matrix import table, wrong_ones

POLICY = (
    "deployments \"web\" is forbidden: ValidatingAdmissionPolicy 'iirp-executor' with binding 'x' denied request: no"
)
NO_RIGHT = 'pods is forbidden: User "x" cannot list resource "pods"'
HELD = 'roles "x" is forbidden: user "x" is attempting to grant RBAC permissions not currently held'


def reply(code: int, message: str = "") -> Reply:
    return Reply(code, {"message": message})


@pytest.mark.parametrize(
    ("answer", "who"),
    [
        (reply(200), "allowed"),
        (reply(201), "allowed"),
        (reply(403, POLICY), EXECUTOR),
        (reply(422, "approvals \"x\" is invalid: ValidatingAdmissionPolicy 'iirp-approvals' denied"), APPROVALS),
        (reply(403, NO_RIGHT), RBAC),
        (reply(403, HELD), RBAC),
        (reply(400, 'admission webhook "decisions.iirp.io" denied the request: no'), "webhook decisions.iirp.io"),
        (reply(422, "spec.tier is immutable"), SCHEMA),
        (reply(404, "not found"), "HTTP 404"),
        (reply(500, "failed calling webhook"), "HTTP 500"),
        (reply(403, "something else"), "HTTP 403"),
    ],
)
def test_who_refused_is_read_from_the_answer(answer: Reply, who: str) -> None:
    assert refusal(answer) == who


FORBIDDEN = Case("a", "n", "GET", "/")


@pytest.mark.parametrize(
    ("case", "answer", "ok"),
    [
        (FORBIDDEN, reply(403, NO_RIGHT), True),
        (FORBIDDEN, reply(200), False),
        (FORBIDDEN, reply(404), False),
        (FORBIDDEN, reply(409), False),
        (FORBIDDEN, reply(500, "failed calling webhook"), False),
        (Case("a", "n", "GET", "/", by=(EXECUTOR,)), reply(403, NO_RIGHT), False),
        (Case("a", "n", "GET", "/", by=(EXECUTOR,), says="no"), reply(403, POLICY), True),
        (Case("a", "n", "GET", "/", by=(EXECUTOR,), says="needs the grant"), reply(403, POLICY), False),
        (Case("a", "n", "GET", "/", allowed=True), reply(200), True),
        (Case("a", "n", "GET", "/", allowed=True), reply(403, NO_RIGHT), False),
    ],
)
def test_only_the_expected_refusal_counts(case: Case, answer: Reply, ok: bool) -> None:
    result = judge(case, answer)
    assert result.ok is ok
    assert bool(wrong_ones([result])) is not ok


def test_matrix_has_a_row_per_area_and_counts_the_wrong() -> None:
    results = [judge(FORBIDDEN, reply(403, NO_RIGHT)), judge(FORBIDDEN, reply(200)), judge(FORBIDDEN, reply(404))]
    head, row = table(results).splitlines()
    assert head.split() == ["RBAC", "allowed", "neither", "requests", "wrong"]
    assert row.split() == ["a", "1", "1", "1", "3", "2"]


def test_changes_are_one_field_each_and_merge_with_the_restart() -> None:
    assert len(changes()) >= 80
    granted = {"spec": {"template": {"metadata": {"annotations": {"iirp.io/action-id": "a"}}}}}
    for name, change in changes().items():
        both = merged(granted, change)
        assert both["spec"]["template"]["metadata"]["annotations"]["iirp.io/action-id"] == "a", name
        assert both != granted, name

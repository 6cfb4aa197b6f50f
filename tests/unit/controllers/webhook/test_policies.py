"""An ActionPolicy that cannot be understood is refused with every reason; nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.webhook.policies import MAX_MESSAGE, judge
from controllers.webhook.review import Review
from tests.fakes.chain import rule

POLICIES = {"group": "iirp.io", "version": "v1alpha1", "resource": "actionpolicies"}


def review(*rules: dict[str, Any], **request: Any) -> dict[str, Any]:
    """As the API server sends it."""
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u1",
            "operation": "CREATE",
            "resource": POLICIES,
            "userInfo": {"username": "alice"},
            "object": {"metadata": {"name": "p"}, "spec": {"rules": list(rules)}},
            **request,
        },
    }


def judged(body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    result, answer = judge(Review[dict[str, Any]].model_validate(body).request)
    return result, answer["response"]


def when(*expressions: str) -> dict[str, Any]:
    conditions = [{"name": f"c{n}", "expression": text} for n, text in enumerate(expressions)]
    return rule("AutoLowRisk", "r", match={"conditions": conditions})


@pytest.mark.parametrize(
    "body",
    [
        review(rule(), when("plan.spec.confidencePercent > 80")),
        review(when("severity >"), subResource="status"),
        review(when("severity >"), resource={**POLICIES, "resource": "approvals"}),
        review(when("severity >"), resource={**POLICIES, "group": "other.io"}),
    ],
)
def test_what_can_be_read_and_what_is_no_policy_goes_on(body: dict[str, Any]) -> None:
    assert judged(body)[1] == {"uid": "u1", "allowed": True}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (review(when("severity > 3")), ["rule r: condition c0: line 1, column 10: found no matching overload"]),
        (review(when("plan.spec.a &&\n (")), ["line 2, column 3: Syntax error"]),
        (review(when("severity == 'a'", "incidnt.x", "1")), ["c1: line 1, column 8: undeclared", "c2: gives INT"]),
        (review(when("severity == 'a'"), when("severity == 'a'")), ["rule r: there are two rules of this name"]),
        (review(rule(expiresAfter="59s")), ["expiresAfter 59s is not between 1m and 24h"]),
        (review(object={"metadata": {"name": "p"}}), ["spec"]),
        (review(object=None), ["spec"]),
    ],
)
def test_what_cannot_be_read_is_refused_with_every_reason_and_place(body: dict[str, Any], told: list[str]) -> None:
    result, response = judged(body)
    assert (result, response["uid"], response["allowed"]) == ("invalid", "u1", False)
    assert (response["status"]["code"], response["status"]["reason"]) == (422, "Invalid")
    for words in told:
        assert words in response["status"]["message"]
    assert "iirp policy lint" in response["status"]["message"]


def test_many_problems_make_no_endless_answer() -> None:
    worst = when(*["(" * 500] * 3)
    message = judged(review(*({**worst, "name": f"r{n}"} for n in range(10))))[1]["status"]["message"]
    assert len(message) < MAX_MESSAGE + 100

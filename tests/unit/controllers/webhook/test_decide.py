"""An annotation becomes an entry in the name of who sent it; all else is left for the policies to refuse."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from controllers.webhook.decide import ApprovalObject, patch_for, record
from controllers.webhook.review import Request, Review

DIGEST = "sha256:" + "a" * 64


def review(annotations: dict[str, str] | None, decisions: Any = None, **request: Any) -> dict[str, Any]:
    """As the API server sends it."""
    spec: dict[str, Any] = {"planDigest": DIGEST} | ({} if decisions is None else {"decisions": decisions})
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u1",
            "operation": "UPDATE",
            "resource": {"group": "iirp.io", "version": "v1alpha1", "resource": "approvals"},
            "userInfo": {"username": "alice", "groups": ["system:authenticated"]},
            "object": {"metadata": {"name": "a", "annotations": annotations}, "spec": spec},
            "oldObject": {"metadata": {}, "spec": {}},
            **request,
        },
    }


def request_of(body: dict[str, Any]) -> Request[ApprovalObject]:
    return Review[ApprovalObject].model_validate(body).request


def patched(body: dict[str, Any]) -> dict[str, Any]:
    """The object as the API server would go on with."""
    patch = patch_for(request_of(body))
    result: dict[str, Any] = jsonpatch.apply_patch(copy.deepcopy(body["request"]["object"]), patch)
    return result


def entry(verdict: str, reason: str = "", by: str = "alice") -> dict[str, str]:
    return {"by": by, "verdict": verdict, "reason": reason, "planDigest": DIGEST}


EARLIER = entry("approve", "lgtm", "bob")


@pytest.mark.parametrize(
    ("annotations", "before", "after", "left"),
    [
        ({"iirp.io/decision": "approve"}, None, [entry("approve")], {}),
        ({"iirp.io/decision": "reject", "iirp.io/reason": "no"}, None, [entry("reject", "no")], {}),
        ({"iirp.io/decision": "approve", "a~b/c": "x"}, [EARLIER], [EARLIER, entry("approve")], {"a~b/c": "x"}),
        ({"iirp.io/decision": "approve", "iirp.io/reason": ""}, [], [entry("approve")], {}),
        ({"iirp.io/decision": "yes"}, None, None, {"iirp.io/decision": "yes"}),
        ({"iirp.io/decision": ""}, [EARLIER], [EARLIER], {"iirp.io/decision": ""}),
        ({"iirp.io/reason": "first"}, None, None, {"iirp.io/reason": "first"}),
        ({}, [EARLIER], [EARLIER], {}),
        (None, [EARLIER], [EARLIER], None),
    ],
)
def test_entry(annotations: Any, before: Any, after: Any, left: Any) -> None:
    result = patched(review(annotations, before))
    assert result["spec"].get("decisions") == after
    assert result["metadata"]["annotations"] == left


@pytest.mark.parametrize(
    "request_",
    [
        {"operation": "CREATE"},
        {"operation": "DELETE", "object": None},
        {"subResource": "status"},
        {"resource": {"group": "iirp.io", "version": "v1alpha1", "resource": "actionplans"}},
        {"resource": {"group": "apps", "version": "v1", "resource": "approvals"}},
    ],
)
def test_nothing_else_is_touched(request_: dict[str, Any]) -> None:
    body = review({"iirp.io/decision": "approve"}, **request_)
    assert patch_for(request_of(body)) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda b: b.update(apiVersion="admission.k8s.io/v1beta1"),
        lambda b: b["request"].pop("userInfo"),
        lambda b: b["request"]["userInfo"].update(username=""),
        lambda b: b["request"].update(uid=""),
        lambda b: b["request"]["object"].pop("metadata"),
    ],
)
def test_a_review_without_a_name_or_an_object_is_an_error(spoil: Any) -> None:
    body = review({"iirp.io/decision": "approve"})
    spoil(body)
    with pytest.raises(ValidationError):
        request_of(body)


@given(st.dictionaries(st.text(), st.text()), st.text(min_size=1), st.lists(st.just(EARLIER), max_size=3))
def test_whatever_is_annotated_the_name_is_the_senders_and_the_past_stays(
    annotations: dict[str, str], user: str, before: list[dict[str, str]]
) -> None:
    body = review(annotations | {"iirp.io/decision": "approve"}, before, userInfo={"username": user})
    decisions = patched(body)["spec"]["decisions"]
    assert decisions[:-1] == before
    assert decisions[-1]["by"] == user


def test_answer_carries_the_patch_as_the_api_server_wants_it() -> None:
    request = request_of(review({"iirp.io/decision": "approve"}))
    result, body = record(request)
    response = body["response"]
    assert (result, response["uid"], response["allowed"], response["patchType"]) == ("entry", "u1", True, "JSONPatch")
    assert json.loads(base64.b64decode(response["patch"])) == patch_for(request)
    left = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": "u1", "allowed": True}}
    assert record(request_of(review({}))) == ("left", left)


@pytest.mark.parametrize(
    ("approvers", "groups", "group"),
    [
        (["bob", "group:oncall"], ["devs", "oncall"], "oncall"),
        (["alice", "group:oncall"], ["oncall"], None),
        (["group:oncall"], ["devs"], None),
        (["oncall"], ["oncall"], None),
        ("group:oncall", ["oncall"], None),
        (None, ["oncall"], None),
    ],
)
def test_the_group_that_they_decide_for(approvers: Any, groups: list[str], group: str | None) -> None:
    body = review({"iirp.io/decision": "approve"}, userInfo={"username": "alice", "groups": groups})
    body["request"]["object"]["spec"]["approvers"] = approvers
    assert patched(body)["spec"]["decisions"][0].get("group") == group

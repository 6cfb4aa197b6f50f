"""Answers of the API server as typed errors, and what each means for the queue."""

from __future__ import annotations

import json

import pytest

from controllers.kube.errors import AlreadyExists, Conflict, Forbidden, Invalid, KubeError, NotFound, Unavailable
from controllers.kube.wire import owner_reference, to_error, with_preconditions, write_query
from controllers.runtime.errors import Retryable, Terminal
from crds.v1alpha1.incident import Incident
from tests.unit.controllers.incident.builders import incident

ADDRESS = "https://10.0.0.1:6443"


def answer(reason: str, message: str) -> bytes:
    return json.dumps({"kind": "Status", "reason": reason, "message": message}).encode()


@pytest.mark.parametrize(
    ("status", "payload", "kind", "consequence", "words"),
    [
        (404, answer("NotFound", 'pods "x" not found'), NotFound, Terminal, 'pods "x" not found'),
        (403, answer("Forbidden", "eve may not"), Forbidden, Terminal, "eve may not"),
        (422, answer("Invalid", "spec.type: Required"), Invalid, Terminal, "spec.type"),
        (409, answer("AlreadyExists", "there"), AlreadyExists, Retryable, "there"),
        (409, answer("Conflict", "modified"), Conflict, Retryable, "modified"),
        (429, answer("TooManyRequests", "slow down"), Unavailable, Retryable, "slow down"),
        (401, answer("Unauthorized", "Unauthorized"), Unavailable, Retryable, "credentials"),
        (503, b"<html>upstream", Unavailable, Retryable, ADDRESS),
        (500, b"", Unavailable, Retryable, "answered 500"),
    ],
)
def test_each_answer_has_its_error(
    status: int, payload: bytes, kind: type[KubeError], consequence: type[Exception], words: str
) -> None:
    error = to_error(status, payload, ADDRESS)
    assert type(error) is kind
    assert isinstance(error, consequence)
    assert words in error.message


def test_preconditions_go_into_either_kind_of_patch() -> None:
    assert with_preconditions({"spec": {"a": 1}}, "u", "7") == {
        "spec": {"a": 1},
        "metadata": {"uid": "u", "resourceVersion": "7"},
    }
    assert with_preconditions({"metadata": {"labels": {"a": "b"}}}, "u", "") == {
        "metadata": {"labels": {"a": "b"}, "uid": "u"}
    }
    assert with_preconditions([{"op": "add"}], "u", "") == [
        {"op": "test", "path": "/metadata/uid", "value": "u"},
        {"op": "add"},
    ]
    assert with_preconditions({"a": 1}, "", "") == {"a": 1}


def test_children_never_block_the_deletion_of_their_owner() -> None:
    reference = owner_reference(incident())
    assert reference["kind"] == Incident.definition.kind
    assert reference["blockOwnerDeletion"] is False


def test_every_write_refuses_unknown_fields() -> None:
    assert write_query("m", dry_run=False) == {"fieldManager": "m", "fieldValidation": "Strict"}
    assert write_query("m", dry_run=True)["dryRun"] == "All"

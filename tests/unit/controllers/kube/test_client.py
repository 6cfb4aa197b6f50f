"""Requests as they leave, without a network: paths, queries, timeouts, paging, errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import urllib3
from kubernetes import client as kubernetes_client

from controllers.kube.client import KubeClient, connect
from controllers.kube.errors import Conflict, Invalid, KubeError, NotFound, Unavailable
from controllers.kube.resources import CONFIG_MAPS, DEPLOYMENTS, PODS, resource_type
from controllers.runtime.errors import Terminal
from crds.v1alpha1.incident import Incident
from tests.unit.controllers.incident.builders import incident


class Response:
    def __init__(self, status: int, body: Any) -> None:
        self.status = status
        self._body = json.dumps(body).encode()

    def read(self) -> bytes:
        return self._body


class Transport(kubernetes_client.ApiClient):
    """Answers from a list and keeps the calls."""

    def __init__(self, *answers: Response | Exception) -> None:
        super().__init__(kubernetes_client.Configuration(host="https://api:6443", api_key={"BearerToken": "Bearer t"}))
        self.answers = list(answers)
        self.calls: list[dict[str, Any]] = []

    def call_api(
        self,
        method: Any,
        url: Any,
        header_params: Any = None,
        body: Any = None,
        post_params: Any = None,
        _request_timeout: Any = None,
    ) -> Any:
        call = {"method": method, "url": url, "headers": header_params, "body": body, "timeout": _request_timeout}
        self.calls.append(call)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def wire(name: str) -> dict[str, Any]:
    body = incident(name=name)
    return {"metadata": {"name": name, "namespace": "shop", "uid": "u"}, "spec": body.spec.to_wire()}


def test_status_is_applied_by_field_manager_to_exactly_this_object() -> None:
    transport = Transport(Response(200, wire("a")))
    KubeClient(transport).apply_status(incident(name="a"), {"state": "Detected"}, manager="iirp-incident")
    call = transport.calls[0]
    assert call["method"] == "PATCH"
    assert call["url"].startswith("https://api:6443/apis/iirp.io/v1alpha1/namespaces/shop/incidents/a/status?")
    assert "fieldManager=iirp-incident" in call["url"]
    assert "force=true" in call["url"]
    assert call["headers"]["Content-Type"] == "application/apply-patch+yaml"
    assert call["headers"]["authorization"] == "Bearer t"
    assert call["body"]["metadata"]["uid"] == "uid-a"
    assert call["body"]["status"] == {"state": "Detected"}


def test_every_request_has_timeouts() -> None:
    transport = Transport(Response(200, {"items": []}))
    KubeClient(transport).list_raw(PODS)
    assert transport.calls[0]["timeout"] == (5.0, 30.0)


def test_metadata_are_asked_for_alone() -> None:
    transport = Transport(Response(200, {"metadata": {"name": "a"}}))
    assert KubeClient(transport).get_metadata(CONFIG_MAPS, "shop", "a") == {"metadata": {"name": "a"}}
    (call,) = transport.calls
    assert call["headers"]["Accept"] == "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    assert call["url"].endswith("/api/v1/namespaces/shop/configmaps/a")


def test_lists_are_paged() -> None:
    transport = Transport(
        Response(200, {"items": [{"n": 1}], "metadata": {"continue": "more/=="}}), Response(200, {"items": [{"n": 2}]})
    )
    assert KubeClient(transport).list_raw(PODS, "shop", labels="a=b") == [{"n": 1}, {"n": 2}]
    assert "/api/v1/namespaces/shop/pods?limit=500&labelSelector=a%3Db" in transport.calls[0]["url"]
    assert "continue=more%2F%3D%3D" in transport.calls[1]["url"]


def test_one_object_of_another_version_does_not_hide_the_others() -> None:
    broken = wire("b") | {"spec": {"type": "?"}}
    transport = Transport(Response(200, {"items": [broken, wire("a")]}))
    assert [item.metadata.name for item in KubeClient(transport).list_all(Incident)] == ["a"]


def test_a_single_one_that_does_not_fit_is_named() -> None:
    transport = Transport(Response(200, wire("b") | {"spec": {"type": "?"}}))
    with pytest.raises(Terminal, match="Incident shop/b does not fit the API types"):
        KubeClient(transport).get(Incident, "shop", "b")


def test_find_and_delete_take_absence_as_an_answer() -> None:
    gone = Response(404, {"reason": "NotFound", "message": "no"})
    client = KubeClient(Transport(gone, gone))
    assert client.find(Incident, "shop", "a") is None
    assert client.delete_raw(DEPLOYMENTS, "shop", "a") is False


def test_delete_sends_its_preconditions() -> None:
    transport = Transport(Response(200, {}))
    assert KubeClient(transport).delete_raw(DEPLOYMENTS, "shop", "a", uid="u")
    assert transport.calls[0]["body"]["preconditions"] == {"uid": "u"}
    assert transport.calls[0]["body"]["propagationPolicy"] == "Background"


@pytest.mark.parametrize(
    "error",
    [urllib3.exceptions.NewConnectionError(None, "refused"), TimeoutError("slow"), ConnectionResetError()],  # type: ignore[arg-type]
)
def test_an_outage_names_the_address(error: Exception) -> None:
    with pytest.raises(Unavailable, match="https://api:6443 does not answer"):
        KubeClient(Transport(error)).get_raw(PODS, "shop", "a")


def test_an_outage_is_said_without_the_words_of_three_libraries() -> None:
    client = KubeClient(kubernetes_client.ApiClient(kubernetes_client.Configuration(host="https://127.0.0.1:9")))
    with pytest.raises(Unavailable) as caught:
        client.get_raw(PODS, "shop", "a")
    assert caught.value.message == (
        "API server https://127.0.0.1:9 does not answer (ConnectionRefusedError: [Errno 111] Connection refused)"
    )


@pytest.mark.parametrize(
    "content",
    [
        b"clusters: [open",
        b"just text",
        b"[]",
        b"",
        b"\xff\xfe",
        b"apiVersion: v1\nkind: Config",
        b"clusters: 1\nusers: 2",
    ],
)
def test_a_file_that_is_no_kubeconfig_is_said_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config"
    path.write_bytes(content)
    with pytest.raises(Terminal) as caught:
        connect(path)
    assert caught.value.reason == "NoCredentials"
    assert "KUBECONFIG" in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("body", ["<html>sign in</html>", []])
def test_an_answer_of_something_else_is_tried_again_and_named(body: Any) -> None:
    with pytest.raises(Unavailable, match="https://api:6443 answered something else than JSON"):
        KubeClient(Transport(Response(200, body))).get_raw(PODS, "shop", "a")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Response(200, {"resources": [{"name": "incidents"}]}), True),
        (Response(200, {"resources": [{"name": "others"}]}), False),
        (Response(404, {"reason": "NotFound"}), False),
    ],
)
def test_served(answer: Response, expected: bool) -> None:
    assert KubeClient(Transport(answer)).served(resource_type(Incident)) is expected


def test_not_found_is_raised_by_get() -> None:
    with pytest.raises(NotFound):
        KubeClient(Transport(Response(404, {"reason": "NotFound"}))).get(Incident, "shop", "a")


def test_without_credentials_the_message_says_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    with pytest.raises(Terminal, match="KUBECONFIG"):
        connect()


FAILED_TEST = {"reason": "Invalid", "message": "the server rejected our request due to an error in our request"}


@pytest.mark.parametrize(
    ("now", "error"),
    [
        ({"uid": "u", "resourceVersion": "8"}, Conflict),
        ({"uid": "another", "resourceVersion": "7"}, Conflict),
        ({"uid": "u", "resourceVersion": "7"}, Invalid),
    ],
)
def test_a_json_patch_that_comes_too_late_is_a_conflict_and_not_a_wrong_patch(
    now: dict[str, str], error: type[KubeError]
) -> None:
    """Of two executors that rolled back at once, one took the other's write for a refusal and ended the plan by it."""
    transport = Transport(Response(422, FAILED_TEST), Response(200, {"metadata": now}))
    late = KubeClient(transport)
    with pytest.raises(error) as caught:
        late.patch_raw(
            DEPLOYMENTS, "shop", "web", [{"op": "remove", "path": "/x"}], manager="m", uid="u", resource_version="7"
        )
    assert type(caught.value) is error


def test_a_merge_patch_that_is_invalid_stays_so() -> None:
    transport = Transport(Response(422, FAILED_TEST))
    with pytest.raises(Invalid):
        KubeClient(transport).patch_raw(DEPLOYMENTS, "shop", "web", {"spec": {}}, manager="m", resource_version="7")

"""`iirp doctor` names what is missing and the command that helps."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from cli.checks import CONTROLLERS, KINDS, POLICIES, Level, check_cluster
from cli.doctor import _controllers_gateway, _gateway, completion, doctor
from cli.plugin.kube import Kubectl, PluginError

ROOT = Path(__file__).parents[3]
WELL = {
    "version": json.dumps({"serverVersion": {"major": "1", "minor": "36+", "gitVersion": "v1.36.3"}}),
    "api-resources": "\n".join(f"{kind}.iirp.io" for kind in KINDS),
    "get validatingadmissionpolicybinding": "\n".join(f"vapb/{name}" for name in POLICIES),
    "get mutatingadmissionpolicybinding": "mapb/iirp-decisions",
    "get mutatingwebhookconfiguration": "",
    "get deployments": json.dumps({"items": [
        {"metadata": {"labels": {"iirp.io/controller": name}}, "status": {"readyReplicas": 1}} for name in CONTROLLERS
    ]}),
    "get deployment iirp-rca": PluginError("not found"),
    "get rolebindings": json.dumps({"items": [
        {"subjects": [{"kind": "ServiceAccount", "name": "iirp-execution", "namespace": "iirp-system"}]},
    ]}),
    "get namespace": json.dumps({"metadata": {"name": "iirp-system"}}),
    "auth can-i": "yes",
    "auth whoami": json.dumps({"status": {"userInfo": {"username": "eve"}}}),
}  # fmt: skip


class Scripted(Kubectl):
    """Answers by the first words of the command; an exception is raised."""

    def __init__(self, **changed: Any) -> None:
        super().__init__([])
        self.answers: dict[str, Any] = WELL | {key.replace("_", " ", 1): value for key, value in changed.items()}

    def run(self, *arguments: str, stdin: str = "") -> str:
        for key, answer in self.answers.items():
            if " ".join(arguments).startswith(key):
                if isinstance(answer, Exception):
                    raise answer
                return str(answer)
        raise AssertionError(arguments)


def findings(**changed: Any) -> dict[str, tuple[Level, str, str]]:
    """Level, message and advice by name."""
    return {
        item.name: (item.level, item.message, item.advice)
        for item in check_cluster(Scripted(**changed), "shop", "iirp-system")
    }


def test_a_healthy_cluster_has_nothing_to_say() -> None:
    assert {level for level, _, _ in findings().values()} == {Level.OK}


def test_the_policies_are_those_of_the_platform() -> None:
    bound = set()
    for path in (ROOT / "rbac" / "admission").glob("*.yaml"):
        for body in yaml.safe_load_all(path.read_text()):
            if body["kind"].endswith("Binding"):
                bound.add(body["metadata"]["name"])
    assert bound == {*POLICIES, "iirp-decisions"}
    assert set(CONTROLLERS) == {path.parent.name for path in (ROOT / "controllers").glob("*/handlers.py")}


UNKNOWN = PluginError('the server doesn\'t have a resource type "mutatingadmissionpolicybinding"')
DENIED = PluginError("forbidden: User eve cannot list resource")


@pytest.mark.parametrize(
    ("changed", "name", "level", "message", "advice"),
    [
        ({"version": PluginError("dial tcp: refused")}, "API server", Level.FAIL, "refused", "get-contexts"),
        (
            {"version": PluginError("The connection to the server localhost:8080 was refused")}, "API server",
            Level.FAIL, "refused", "iirp cluster kubeconfig",
        ),
        (
            {"version": json.dumps({"serverVersion": {"major": "1", "minor": "29", "gitVersion": "v1.29.0"}})},
            "API server", Level.FAIL, "need 1.30", "upgrade",
        ),
        ({"api-resources": "incidents.iirp.io"}, "CRDs", Level.FAIL, "approvals", "helm upgrade"),
        (
            {"get_validatingadmissionpolicybinding": "vapb/iirp-grants"}, "validatingadmissionpolicies", Level.FAIL,
            "iirp-executor", "helm upgrade",
        ),
        ({"get_mutatingadmissionpolicybinding": DENIED}, "decisions", Level.WARN, "cannot list", "ask"),
        ({"get_mutatingadmissionpolicybinding": ""}, "decisions", Level.FAIL, "neither policy nor", "helm"),
        ({"get_mutatingadmissionpolicybinding": UNKNOWN}, "decisions", Level.FAIL, "neither", "helm"),
        ({"get_deployments": json.dumps({"items": []})}, "controller policy", Level.FAIL, "not in iirp-system", "helm"),
        (
            {"get_rolebindings": json.dumps({"items": []})}, "actions in shop", Level.WARN,
            "not opted in", "iirp grant shop",
        ),
        (
            {"get_namespace": json.dumps({"metadata": {"annotations": {"iirp.io/emergency-stop": "drill"}}})},
            "emergency stop", Level.WARN, "drill", "iirp.io/emergency-stop-",
        ),
        ({"auth_can-i": PluginError("no")}, "you may see incidents", Level.FAIL, "eve lacks list", "--user=eve"),
        ({"auth_can-i": PluginError("no")}, "you may approve and reject", Level.WARN, "lacks approve", "iirp-approver"),
    ],
)  # fmt: skip
def test_what_is_wrong_comes_with_the_next_step(
    changed: dict[str, Any], name: str, level: Level, message: str, advice: str
) -> None:
    found = findings(**changed)[name]
    assert found[0] is level
    assert message in found[1]
    assert advice in found[2]


def test_exit_code_and_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.plugin.kube.Kubectl", lambda _flags: Scripted())
    result = CliRunner().invoke(doctor, ["-n", "shop", "-o", "json"])
    assert result.exit_code == 0
    assert json.loads(result.output)[0] == {"name": "API server", "level": "ok", "message": "v1.36.3", "advice": ""}
    monkeypatch.setattr("cli.plugin.kube.Kubectl", lambda _flags: Scripted(**{"api-resources": ""}))
    result = CliRunner().invoke(doctor, ["-n", "shop"])
    assert result.exit_code == 1
    assert "FAIL" in result.output


@pytest.mark.parametrize("policy", ["", UNKNOWN, DENIED])
def test_before_1_36_a_webhook_makes_the_entries(policy: Any) -> None:
    hooks = {"get_mutatingadmissionpolicybinding": policy, "get_mutatingwebhookconfiguration": "mwc/iirp-decisions"}
    assert findings(**hooks)["decisions"][:2] == (Level.OK, "made entries by a webhook")


@contextmanager
def gateway(status: int) -> Iterator[str]:
    """Address of something that answers one request."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"


@pytest.mark.parametrize(("status", "level"), [(200, Level.OK), (502, Level.FAIL)])
def test_the_gateway_is_asked(status: int, level: Level) -> None:
    with gateway(status) as url:
        assert _gateway(url, None).level is level
    assert _gateway("http://127.0.0.1:9", None).level is Level.FAIL


def controller(url: str) -> str:
    """A Deployment that talks to the analysis server there."""
    pod = {"containers": [{"env": [{"name": "IIRP_ANALYSIS_URL", "value": url}]}], "volumes": []}
    return json.dumps({"spec": {"template": {"spec": pod}}})


@pytest.mark.parametrize(("status", "level"), [(200, Level.OK), (502, Level.WARN)])
def test_the_controllers_gateway_is_asked_without_being_named(status: int, level: Level) -> None:
    with gateway(status) as url:
        found = _controllers_gateway(Scripted(**{"get_deployment iirp-rca": controller(url)}), "iirp-system")
    assert found is not None
    assert found.level is level


def test_an_analysis_server_in_the_cluster_is_not_asked_from_here() -> None:
    url = "https://iirp-analysis.iirp-system.svc:8443"
    assert _controllers_gateway(Scripted(**{"get_deployment iirp-rca": controller(url)}), "iirp-system") is None


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    assert "_IIRP_COMPLETE" in CliRunner().invoke(completion, [shell]).output

"""Argo CD's Lua, run by a real Lua 5.1 (the language of Argo CD's interpreter) with the libraries that it has there."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from lupa import lua51

from crds.v1alpha1 import KINDS
from crds.v1alpha1.actionplan import PlanState
from crds.v1alpha1.approval import ApprovalState
from crds.v1alpha1.incident import IncidentState
from crds.v1alpha1.rcareport import ReportState
from integrations.argocd.generate import generated_files
from tests.unit.integrations.support import FOLDER, kubectl, obj

ARGO = FOLDER / "argocd"
STATUSES = {"Healthy", "Progressing", "Suspended", "Degraded"}


def run(script: str, body: dict[str, Any], params: dict[str, str] | None = None) -> Any:
    """What a script returns; Argo CD opens base and table, and neither string nor os."""
    lua = lua51.LuaRuntime(unpack_returned_tuples=True)
    for library in ("string", "io", "os", "debug", "package", "require", "math"):
        lua.execute(f"{library} = nil")
    lua.globals().obj = lua.table_from(body, recursive=True)
    if params is not None:
        lua.globals().actionParams = lua.table_from(params)
    return plain(lua.execute(script))


def plain(value: Any) -> Any:
    """A Lua table as a dict or a list."""
    if lua51.lua_type(value) != "table":
        return value
    items = dict(value.items())
    if items and set(items) == set(range(1, len(items) + 1)):
        return [plain(items[index]) for index in sorted(items)]
    return {key: plain(item) for key, item in items.items()}


def health(kind: str, body: dict[str, Any]) -> tuple[str, str]:
    """Status and message."""
    answer = run((ARGO / "health" / f"{kind}.lua").read_text(), body)
    assert answer["status"] in STATUSES
    return answer["status"], answer["message"]


def with_state(kind: str, state: str | None, **status: Any) -> dict[str, Any]:
    """An object in a state; without one, as it is just after its creation."""
    spec = {"summary": "Restart deploy/payments"}
    return obj(kind, spec=spec) if state is None else obj(kind, spec=spec, status={"state": state, **status})


HEALTH = {
    "Incident": {
        None: "Progressing", "Detected": "Progressing", "Diagnosing": "Progressing", "Diagnosed": "Progressing",
        "Planned": "Progressing", "AwaitingApproval": "Suspended", "Remediating": "Progressing",
        "Verifying": "Progressing", "Resolved": "Healthy", "Escalated": "Degraded", "Recovered": "Healthy",
        "Closed": "Healthy",
    },
    "RCAReport": {
        None: "Progressing", "Pending": "Progressing", "Complete": "Healthy", "Degraded": "Healthy",
        "Unresolved": "Healthy", "Failed": "Degraded",
    },
    "ActionPlan": {
        None: "Progressing", "Proposed": "Progressing", "Denied": "Healthy", "AwaitingApproval": "Suspended",
        "Approved": "Progressing", "Executing": "Progressing", "Executed": "Progressing", "Verified": "Healthy",
        "Ineffective": "Degraded", "Inconclusive": "Degraded", "Failed": "Degraded", "Expired": "Healthy",
        "Superseded": "Healthy",
    },
    "Approval": {
        None: "Suspended", "Pending": "Suspended", "Approved": "Progressing", "Rejected": "Healthy",
        "Expired": "Healthy", "Void": "Healthy", "Used": "Healthy",
    },
}  # fmt: skip
CASES = [(kind, state, status) for kind, states in HEALTH.items() for state, status in states.items()]


@pytest.mark.parametrize(("kind", "state", "status"), CASES)
def test_health_of_every_state(kind: str, state: str | None, status: str) -> None:
    said, message = health(kind, with_state(kind, state))
    assert said == status
    assert message


def test_no_state_is_forgotten() -> None:
    """A state that is added to the API must get a health here; an unknown one would show as Progressing for ever."""
    for kind, states in (
        ("Incident", IncidentState), ("RCAReport", ReportState), ("ActionPlan", PlanState), ("Approval", ApprovalState),
    ):  # fmt: skip
        assert {None, *(state.value for state in states)} == set(HEALTH[kind]), kind
    assert {path.stem for path in (ARGO / "health").glob("*.lua")} == {kind.definition.kind for kind in KINDS}


def test_messages_say_what_people_need() -> None:
    incident = with_state("Incident", "Escalated", severity="high", cause="memory grows since rollout 7")
    assert health("Incident", incident)[1] == "Escalated (high): memory grows since rollout 7"
    report = with_state("RCAReport", "Complete", cause="memory grows", confidencePercent=84)
    assert health("RCAReport", report)[1] == "Complete: memory grows (84 %)"
    failed = with_state("ActionPlan", "Failed", execution={"message": "0 of 2 ready after 10 m"})
    assert health("ActionPlan", failed)[1] == "Failed: Restart deploy/payments (0 of 2 ready after 10 m)"
    assert health("Approval", with_state("Approval", "Rejected", decidedBy="bob"))[1] == "Rejected by bob"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (None, ("Progressing", "not validated yet")),
        ({"valid": True, "observedGeneration": 1}, ("Progressing", "not validated yet")),
        ({"valid": True, "observedGeneration": 2}, ("Healthy", "valid")),
        (
            {"valid": False, "observedGeneration": 2, "conditions": [{"type": "Valid", "message": "rule a: no"}]},
            ("Degraded", "rule a: no"),
        ),
    ],
)
def test_health_of_policies(status: dict[str, Any] | None, expected: tuple[str, str]) -> None:
    body = obj("ActionPolicy", **({"status": status} if status else {}))
    body["metadata"]["generation"] = 2
    assert health("ActionPolicy", body) == expected


ACTIONS = ARGO / "actions" / "Approval"


@pytest.mark.parametrize(("state", "disabled"), [(None, False), ("Pending", False), ("Approved", True), ("Void", True)])
def test_only_what_waits_can_be_decided(state: str | None, *, disabled: bool) -> None:
    found = run((ACTIONS / "discovery.lua").read_text(), with_state("Approval", state))
    assert set(found) == {"approve", "reject"}
    assert [action["disabled"] for action in found.values()] == [disabled, disabled]
    assert found["approve"]["params"] == [{"name": "reason"}]


@pytest.mark.parametrize("verdict", ["approve", "reject"])
def test_actions_change_two_annotations_and_nothing_else(verdict: str) -> None:
    body = with_state("Approval", "Pending")
    body["metadata"]["annotations"] = {"keep": "me"}
    changed = run((ACTIONS / f"{verdict}.lua").read_text(), body, {"reason": "seen"})
    annotations = changed["metadata"].pop("annotations")
    assert annotations == {"keep": "me", "iirp.io/decision": verdict, "iirp.io/reason": "seen"}
    body["metadata"].pop("annotations")
    assert changed == body


@pytest.mark.parametrize("params", [None, {}, {"reason": ""}])
def test_actions_want_a_reason(params: dict[str, str] | None) -> None:
    with pytest.raises(lua51.LuaError, match="a reason is required"):
        run((ACTIONS / "approve.lua").read_text(), with_state("Approval", "Pending"), params)


def test_config_maps_are_generated_and_hold_the_scripts() -> None:
    for name, text in generated_files().items():
        assert (ARGO / name).read_text() == text, f"run python -m integrations.argocd.generate ({name})"
    data = yaml.safe_load((ARGO / "argocd-cm.yaml").read_text())["data"]
    assert data["resource.customizations.health.iirp.io_Incident"] == (ARGO / "health" / "Incident.lua").read_text()
    assert not any("actions" in key for key in data), "approving through Argo CD's account is opt-in"
    actions = yaml.safe_load((ARGO / "argocd-cm-actions.yaml").read_text())["data"]
    inner = yaml.safe_load(actions["resource.customizations.actions.iirp.io_Approval"])
    assert [definition["name"] for definition in inner["definitions"]] == ["approve", "reject"]
    assert set(run(inner["discovery.lua"], with_state("Approval", None))) == {"approve", "reject"}


@pytest.mark.parametrize("index", [0, 1])
def test_links_lead_to_the_incident_of_the_object(index: int) -> None:
    """Argo CD renders them with Go's text/template, with the object under ``.resource``."""
    link = yaml.safe_load((ARGO / "links.yaml").read_text())[index]
    body = obj(*(("Incident",) if index == 0 else ("Approval", "payments-leak-x7k2q-1")))
    template = link["url"].replace(".resource.", ".")
    printed = kubectl("label", "--local", "-f", "-", "a=b", "-o", f"go-template={template}", stdin=json.dumps(body))
    assert printed == "https://iirp.example.com/incidents/shop/payments-leak-x7k2q"


def test_waves_put_kinds_first_and_policies_last() -> None:
    application, project = yaml.safe_load_all((ARGO / "application.yaml").read_text())
    assert (application["kind"], project["kind"]) == ("Application", "AppProject")
    chart = FOLDER.parent / "charts" / "iirp" / "templates"
    wave = "argocd.argoproj.io/sync-wave: "
    for path in (chart / "crds").glob("*.yaml"):
        assert wave + '"-2"' in path.read_text(), path.name
    for path in (chart / "admission").glob("*.yaml"):
        text = path.read_text()
        assert text.count(wave + '"-1"') == text.count("\nkind: "), path.name
    policy = yaml.safe_load((ARGO / "policy-example.yaml").read_text())
    assert policy["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"] == "1"
    next(kind for kind in KINDS if kind.definition.kind == "ActionPolicy").from_wire(policy)

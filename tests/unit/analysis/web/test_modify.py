"""What a plan would change, and another plan in its place: as the person, for the API server to judge."""

from __future__ import annotations

import re
from html import unescape

import pytest
from fastapi.testclient import TestClient

from tests.unit.analysis.web.support import EVIL, Cluster, sign_in, signed_out

DECIDE = "/incidents/shop/payments-leak-1/decide/payments-leak-1-1"
MODIFY = "/incidents/shop/payments-leak-1/modify/payments-leak-1-1"


def csrf(client: TestClient) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/").text)
    assert found
    return found[1]


def post(client: TestClient, **fields: str):
    return client.post(MODIFY, data={"csrf": csrf(client), **{k.replace("__", "."): v for k, v in fields.items()}})


def differences(text: str) -> set[tuple[str, str]]:
    found = re.findall(r'<code class="(added|removed)"><span>.</span> (.*?)</code>', text)
    return {(kind, unescape(line).strip()) for kind, line in found}


def test_who_decides_sees_the_difference_of_a_dry_run_as_themselves(client: TestClient, cluster: Cluster) -> None:
    sign_in(client)
    text = client.get(DECIDE).text
    added = {line for _, line in differences(text)}
    assert any(line.startswith("iirp.io/action-id: act-") for line in added)
    assert any(line.startswith("kubectl.kubernetes.io/restartedAt") for line in added)
    assert "replaces 2 pods, 2 ready now (RollingUpdate, at most 25% unavailable)" in text
    assert "server-side dry run as you" in text
    assert "managedFields" not in text
    assert EVIL not in text
    assert {token for method, path, token in cluster.asked if "dryRun=All" in path} == {"alice-token"}


def test_who_may_not_patch_sees_the_same_difference_and_that_nobody_tried_it(
    client: TestClient, cluster: Cluster
) -> None:
    sign_in(client)
    tried = {line.split(":")[0] for _, line in differences(client.get(DECIDE).text)}
    cluster.may_patch = False
    text = client.get(DECIDE).text
    assert {line.split(":")[0] for _, line in differences(text)} == tried
    assert "Computed here, not by a dry run" in text
    assert "server-side dry run as you" not in text


def test_a_target_of_the_same_name_is_not_the_target(client: TestClient, cluster: Cluster) -> None:
    sign_in(client)
    cluster.deployment["metadata"]["uid"] = "another"
    assert "deleted and created anew" in client.get(DECIDE).text


@pytest.mark.parametrize(
    ("fields", "said", "changed"),
    [
        (
            {"type__restart-1": "ScaleDeployment", "replicas__restart-1": "5"},
            "Scale deploy/payments to 5",
            {("removed", "replicas: 2"), ("added", "replicas: 5")},
        ),
        (
            {"type__restart-1": "Rollback", "revision__restart-1": "2/payments-2"},
            "Roll back deploy/payments to revision 2",
            {("removed", "image: shop:3"), ("added", f"- image: shop:{EVIL}")},
        ),
        ({"type__restart-1": "PauseRollout"}, "Pause rollout of deploy/payments", {("added", "paused: true")}),
    ],
)
def test_another_plan_is_looked_at_first_and_then_proposed(
    client: TestClient, cluster: Cluster, fields: dict[str, str], said: str, changed: set[tuple[str, str]]
) -> None:
    cluster.may_patch = False  # the patch itself is computed: the fake knows merge patches only
    sign_in(client)
    looked = post(client, **fields, step="look")
    assert looked.status_code == 200
    assert said in unescape(looked.text)
    shown = {line.removeprefix("- ") for _, line in differences(looked.text)}
    assert {line.removeprefix("- ") for _, line in changed} <= shown
    assert EVIL not in looked.text
    assert cluster.created == []

    answer = post(client, **fields, step="propose")
    assert (answer.status_code, answer.headers["location"]) == (
        303, "/incidents/shop/payments-leak-1#plan-payments-leak-1-2",
    )  # fmt: skip
    (made,) = cluster.created
    assert made["spec"]["requestedBy"] == "alice"
    assert made["spec"]["supersedes"] == {"name": "payments-leak-1-1", "uid": "p"}
    assert made["spec"]["summary"] == said
    assert made["metadata"]["labels"] == {"iirp.io/incident": "payments-leak-1"}
    assert {token for method, _, token in cluster.asked if method == "POST"} == {"alice-token"}


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"csrf": "guess", "type__restart-1": "PauseRollout"}, 403),
        ({}, 400),
        ({"type__restart-1": "RestartDeployment"}, 400),
        ({"type__restart-1": "DeleteEverything"}, 400),
        ({"type__restart-1": "RestartPod"}, 400),
        ({"type__restart-1": "ScaleDeployment"}, 400),
        ({"type__restart-1": "ScaleDeployment", "replicas__restart-1": "0"}, 400),
        ({"type__restart-1": "ScaleDeployment", "replicas__restart-1": "51"}, 400),
        ({"type__restart-1": "ScaleDeployment", "replicas__restart-1": EVIL}, 400),
        ({"type__restart-1": "Rollback", "revision__restart-1": f"2/../{EVIL}"}, 400),
    ],
)
def test_what_is_no_plan_is_not_proposed(
    client: TestClient, cluster: Cluster, fields: dict[str, str], status: int
) -> None:
    sign_in(client)
    answer = post(client, step="propose", **fields)
    assert answer.status_code == status
    assert EVIL not in answer.text
    assert cluster.created == []


def test_a_refusal_keeps_what_was_chosen(client: TestClient, cluster: Cluster) -> None:
    sign_in(client)
    cluster.refuses = 'actionplans.iirp.io is forbidden: User "alice" cannot create resource'
    answer = post(client, **{"type__restart-1": "ScaleDeployment", "replicas__restart-1": "7"}, step="look")
    assert answer.status_code == 403
    assert "cannot create resource" in answer.text
    assert 'value="7"' in answer.text


def test_what_an_action_did_and_a_job_reported_is_shown_and_inert(client: TestClient, cluster: Cluster) -> None:
    at = {"phase": "Succeeded", "reason": "Done", "startedAt": "2026-01-02T03:04:05Z"}
    result = {
        **at,
        "id": "restart-1",
        "actionId": "act-1",
        "before": "revision 7",
        "after": "revision 6",
        "output": EVIL,
    }
    cluster.plans[0]["status"]["execution"] = {**at, "actions": [result]}
    sign_in(client)
    text = client.get("/incidents/shop/payments-leak-1").text
    assert "revision 7 → revision 6" in text
    assert "What the Job reported" in text
    assert EVIL not in text


def test_a_diagnosis_changes_no_pod(client: TestClient, cluster: Cluster) -> None:
    action = cluster.plans[0]["spec"]["actions"][0]
    action |= {"type": "RunJob", "job": {"template": "disk-usage", "claim": "data"}}
    sign_in(client)
    text = client.get(DECIDE).text
    assert "no pod changes" in text
    assert "reads data, mounted read-only" in text
    assert post(client, **{"type__restart-1": "RunJob"}, step="propose").status_code == 400, "the same as before"


@pytest.mark.parametrize("change", ["begun", "superseded", "unknown"])
def test_a_plan_that_cannot_be_replaced_any_more(client: TestClient, cluster: Cluster, change: str) -> None:
    sign_in(client)
    (plan,) = cluster.plans
    if change == "begun":
        plan["status"]["execution"] = {"phase": "Intent", "reason": "Begun", "startedAt": "2026-01-02T03:04:05Z"}
    elif change == "superseded":
        spec = {**plan["spec"], "supersedes": {"name": plan["metadata"]["name"], "uid": "p"}}
        cluster.plans.append({"metadata": {"name": "payments-leak-1-2", "namespace": "shop", "uid": "q"}, "spec": spec})
    else:
        plan["metadata"]["name"] = "payments-leak-1-9"
    assert client.get(MODIFY).status_code == 409
    assert post(client, **{"type__restart-1": "PauseRollout"}, step="propose").status_code == 409
    assert cluster.created == []


def test_nobody_modifies_without_a_session(client: TestClient, cluster: Cluster) -> None:
    assert signed_out(client.get(MODIFY))
    assert signed_out(client.post(MODIFY, data={"step": "propose"}))
    assert cluster.asked == []

"""`iirp plan`: what is printed can be committed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

import controllers.kube.client
from cli.plan import plan
from controllers.kube.errors import Forbidden
from controllers.kube.resources import APPLICATIONS, DEPLOYMENTS, REPLICASETS
from crds.v1alpha1.actions import ActionType, RollbackParameters
from tests.fakes.chain import NS, PLAN, Clock, add_incident, add_plan, restart, scale
from tests.fakes.kube import FakeKube
from tests.unit.controllers.arbitration.world import HEALS, TRACKED, entry, live

SCALE = (PLAN, "-n", NS)


@pytest.fixture
def kube(monkeypatch: pytest.MonkeyPatch) -> FakeKube:
    """A Deployment that Argo CD heals, and a plan to scale and restart it."""
    found = FakeKube(Clock())
    found.add_raw(DEPLOYMENTS, live(entry("argocd-controller"), annotations=TRACKED))
    found.add_raw(APPLICATIONS, dict(HEALS.body or {}))
    add_incident(found)
    add_plan(found, scale(4), restart())
    monkeypatch.setattr(controllers.kube.client, "connect", lambda _: found)
    return found


def test_each_action_is_a_document_under_its_reasons(kube: FakeKube) -> None:
    result = CliRunner().invoke(plan, ["patch", *SCALE])
    assert result.exit_code == 0, result.output
    scaled, restarted = yaml.safe_load_all(result.output)
    assert scaled["spec"] == {"replicas": 4}
    assert "kubectl.kubernetes.io/restartedAt" in restarted["spec"]["template"]["metadata"]["annotations"]
    assert "# spec.replicas needs-pull-request: Argo CD Application shop heals itself" in result.output
    assert not kube.writes


def test_into_a_file(kube: FakeKube, tmp_path: Path) -> None:
    path = tmp_path / "patch.yaml"
    result = CliRunner().invoke(plan, ["patch", *SCALE, "-o", str(path)])
    assert (result.exit_code, result.output) == (0, f"{path}: 2 patches\n")
    assert len(list(yaml.safe_load_all(path.read_text()))) == 2


def test_as_json_for_programs(kube: FakeKube) -> None:
    rows = json.loads(CliRunner().invoke(plan, ["patch", *SCALE, "--format", "json"]).output)
    assert rows[0]["patch"]["spec"] == {"replicas": 4}
    assert rows[0]["writers"][0]["mode"] == "needs-pull-request"


def test_writers_as_they_are_now(kube: FakeKube) -> None:
    result = CliRunner().invoke(plan, ["writers", *SCALE])
    assert "spec.replicas  needs-pull-request  Argo CD Application shop" in result.output
    assert "imperative" in result.output


def test_what_the_person_may_not_read_is_said(kube: FakeKube) -> None:
    kube.fail = lambda verb, plural, ns, name: Forbidden("Forbidden", "no") if plural == "applications" else None
    result = CliRunner().invoke(plan, ["writers", *SCALE])
    assert "needs-pull-request (not certain)" in result.output
    assert "could not be read (not allowed: no)" in result.output


def test_a_hostile_name_stays_in_its_comment(kube: FakeKube) -> None:
    body = kube.objects["deployments", NS, "payments"]
    body["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "Helm"}
    body["metadata"]["annotations"] = {"meta.helm.sh/release-name": "x\nkind: Secret\n---\n"}
    result = CliRunner().invoke(plan, ["patch", *SCALE])
    assert [doc["kind"] for doc in yaml.safe_load_all(result.output)] == ["Deployment", "Deployment"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope", "-n", NS], f"there is no ActionPlan nope in namespace {NS}; -n says where to look"),
        ([PLAN, "-n", "else"], f"there is no ActionPlan {PLAN} in namespace else"),
    ],
)
def test_what_is_not_there(kube: FakeKube, arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(plan, ["patch", *arguments])
    assert result.exit_code == 1
    assert message in result.output


def test_a_target_that_is_gone(kube: FakeKube) -> None:
    del kube.objects["deployments", NS, "payments"]
    result = CliRunner().invoke(plan, ["patch", *SCALE])
    assert (result.exit_code, result.output) == (1, f"Error: deploy/payments is gone from namespace {NS}\n")


def test_a_rollback_is_the_template_of_its_revision(kube: FakeKube) -> None:
    old = live()["spec"]["template"] | {"metadata": {"labels": {"app": "payments", "pod-template-hash": "abc"}}}
    owner = {"uid": f"uid-deployments-{NS}-payments", "controller": True, "kind": "Deployment", "name": "payments"}
    metadata = {"name": "payments-abc", "namespace": NS, "ownerReferences": [owner]}
    kube.add_raw(REPLICASETS, {"metadata": metadata, "spec": {"template": old}})
    action = restart().model_copy(
        update={
            "type": ActionType.ROLLBACK,
            "rollback": RollbackParameters(replica_set="payments-abc", revision=3),
        }
    )
    add_plan(kube, action, name="back")
    result = CliRunner().invoke(plan, ["patch", "back", "-n", NS])
    assert result.exit_code == 0, result.output
    (patch,) = yaml.safe_load_all(result.output)
    assert patch["spec"]["template"]["metadata"]["labels"] == {"app": "payments"}
    assert patch["spec"]["template"]["spec"] == old["spec"]
    assert "# spec.template needs-pull-request: Argo CD" in result.output
    del kube.objects["replicasets", NS, "payments-abc"]
    assert "has no revision payments-abc any more" in CliRunner().invoke(plan, ["patch", "back", "-n", NS]).output

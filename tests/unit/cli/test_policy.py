"""`iirp policy`, `iirp autonomy`: what a person sees."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from cli.main import cli
from crds.v1alpha1.actions import SHAPES, ActionType
from crds.v1alpha1.base import format_time
from tests.fakes.chain import rule
from tests.unit.controllers.policy.world import done

ROOT = Path(__file__).parents[3]


def iirp(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def policy_file(directory: Path, *rules: dict[str, Any]) -> Path:
    body = {"kind": "ActionPolicy", "metadata": {"name": "p"}, "spec": {"rules": list(rules)}}
    path = directory / "policy.yaml"
    path.write_text(yaml.safe_dump(body))
    return path


def case_file(directory: Path, expect: dict[str, Any], **given: Any) -> Path:
    given = {"namespace": "shop", "actions": [{"type": "RestartDeployment"}], **given}
    path = directory / "cases.yaml"
    body = {"policies": ["policy.yaml"], "tests": [{"name": "one", "given": given, "expect": expect}]}
    path.write_text(yaml.safe_dump(body))
    return path


@pytest.mark.parametrize("file", sorted((ROOT / "config/policies/tests").glob("*.yaml")), ids=lambda path: path.name)
def test_the_policies_that_we_ship_say_what_their_tests_say(file: Path) -> None:
    result = iirp("policy", "test", file)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("kind", list(ActionType))
def test_every_type_of_action_can_be_tested(tmp_path: Path, kind: ActionType) -> None:
    policy_file(tmp_path, rule())
    parameters = {"replicas": 3} if SHAPES[kind].parameter == "scale" else {}
    cases = case_file(tmp_path, {"tier": "HumanApproval"}, actions=[{"type": kind.value, **parameters}])
    result = iirp("policy", "test", cases)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("expect", "differs"),
    [
        ({"tier": "HumanApproval", "approvals": 1, "rule": "p/restarts", "message": "needs 1 approval"}, ""),
        ({"tier": "HumanApproval", "approvers": [], "rule": "restarts", "reason": "ApprovalRequired"}, ""),
        ({"tier": "AutoLowRisk"}, "tier is HumanApproval, not AutoLowRisk"),
        ({"tier": "HumanApproval", "approvals": 2}, "approvals is 1, not 2"),
        ({"tier": "HumanApproval", "approvers": ["x"]}, "approvers is [], not ['x']"),
        ({"tier": "HumanApproval", "rule": "other"}, "rule is p/restarts, not other"),
        ({"tier": "HumanApproval", "reason": "X"}, "reason is ApprovalRequired, not X"),
        ({"tier": "HumanApproval", "message": "sorry"}, "the message does not say 'sorry'"),
    ],
)
def test_a_case_passes_or_says_what_differs(tmp_path: Path, expect: dict[str, Any], differs: str) -> None:
    policy_file(tmp_path, rule())
    result = iirp("policy", "test", case_file(tmp_path, expect))
    assert result.exit_code == (1 if differs else 0), result.output
    assert differs in result.output
    assert f"{0 if differs else 1} of 1 cases as expected" in result.output


def test_lint_says_every_problem_of_every_policy(tmp_path: Path) -> None:
    conditions = [{"name": "c", "expression": "severity > 3"}, {"name": "d", "expression": "incidnt.x"}]
    bad = policy_file(tmp_path, rule(match={"conditions": conditions}), rule(name="b", expiresAfter="1s"))
    good = ROOT / "config/policies/default.yaml"
    told = iirp("policy", "lint", good, bad)
    assert told.exit_code == 1
    assert told.output.splitlines()[0] == f"ok    {good}: default"
    for words in ("FAIL", "condition c: line 1, column 10", "condition d: line 1, column 8", "rule b: expiresAfter 1s"):
        assert words in told.output
    assert iirp("policy", "lint", good).exit_code == 0


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"minConfidencePercnt": 80}, "spec.rules.0.minConfidencePercnt: there is no such key"),
        ({"min_confidence_percent": 80}, "spec.rules.0.min_confidence_percent: there is no such key"),
        ({"match": {"actionType": ["RestartPod"]}}, "spec.rules.0.match.actionType: there is no such key"),
        ({"match": {"conditions": ["target.replicas > 1"]}}, "spec.rules.0.match.conditions.0: has to be an object"),
        ({"match": {"targetLabels": {"tier": "web"}}}, "spec.rules.0.match.targetLabels: has to be a list"),
        ({"match": {"period": {}}}, "spec.rules.0.match.period.start: is missing"),
    ],
)
def test_a_key_that_the_api_server_would_drop_is_told(tmp_path: Path, wrong: dict[str, Any], told: str) -> None:
    bad = policy_file(tmp_path, rule("AutoLowRisk", **wrong))
    for arguments in (["lint", bad], ["test", case_file(tmp_path, {"tier": "AutoLowRisk"})]):
        result = iirp("policy", *arguments)
        assert result.exit_code == 1
        assert told in result.output


def test_lint_as_json_is_one_document(tmp_path: Path) -> None:
    bad = policy_file(tmp_path, rule(autonomy={}))
    told = iirp("policy", "lint", bad, "-o", "json")
    assert told.exit_code == 1
    assert json.loads(told.output) == [
        {
            "file": str(bad),
            "policy": "p",
            "problems": ["rule restarts: autonomy belongs to tier AutoLowRisk: nothing else runs by itself"],
        }
    ]


def test_lint_of_a_file_without_policies_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("kind: ConfigMap\nmetadata: {name: x}\n")
    told = iirp("policy", "lint", tmp_path / "x.yaml")
    assert told.exit_code == 1
    assert "no ActionPolicy in it" in told.output


@pytest.mark.parametrize(
    ("nodes", "expect"),
    [
        (2, {"tier": "HumanApproval", "rule": "narrow"}),
        (3, {"tier": "Forbidden", "reason": "TooManyNodes", "rule": "narrow", "message": "pods on 3 nodes"}),
    ],
)
def test_a_case_says_on_how_many_nodes_the_pods_sit(tmp_path: Path, nodes: int, expect: dict[str, Any]) -> None:
    policy_file(tmp_path, rule(name="narrow", limits={"maxNodes": 2}), rule(name="open"))
    result = iirp("policy", "test", case_file(tmp_path, expect, target={"replicas": 4, "nodes": nodes}))
    assert result.exit_code == 0, result.output


def test_a_case_sees_target_labels_time_and_documents(tmp_path: Path) -> None:
    condition = {"name": "c", "expression": "incident.spec.type == 'X' && target.readyReplicas == 1"}
    match = {"conditions": [condition], "targetLabels": [{"key": "a"}], "environments": ["dev"]}
    window = {"days": ["Sun"]}
    policy_file(tmp_path, rule("AutoLowRisk", "r", match={**match, "windows": [window]}))
    given = {
        "incident": {"spec": {"type": "X"}}, "target": {"labels": {"a": "b"}, "ready": 1},
        "namespaceLabels": {"iirp.io/environment": "dev"}, "at": "2026-01-04T12:00:00",
    }  # fmt: skip
    assert iirp("policy", "test", case_file(tmp_path, {"tier": "AutoLowRisk"}, **given)).exit_code == 0
    given["at"] = "2026-01-05T12:00:00Z"
    assert iirp("policy", "test", case_file(tmp_path, {"tier": "Forbidden"}, **given)).exit_code == 0


@pytest.mark.parametrize(
    ("rules", "given", "told"),
    [
        ([rule("Nonsense")], {}, "policy p: spec.rules.0.tier"),
        ([rule(match={"conditions": [{"name": "c", "expression": "foo"}]})], {}, "undeclared reference to 'foo'"),
        ([rule()], {"nonsense": 1}, "tests.0.given.nonsense"),
    ],
)
def test_nonsense_is_an_error_not_a_pass(tmp_path: Path, rules: list[Any], given: dict[str, Any], told: str) -> None:
    policy_file(tmp_path, *rules)
    result = iirp("policy", "test", case_file(tmp_path, {"tier": "Forbidden"}, **given))
    assert result.exit_code == 1
    assert told in result.output


def export(directory: Path) -> Path:
    plans = []
    for number in range(6):
        of = done(f"r{number}", 1, "Effective" if number else "Ineffective")
        at = format_time(datetime.now(UTC) - timedelta(days=6 - number))
        body = {"kind": "ActionPlan", "metadata": of.metadata.model_dump(mode="json", by_alias=True)}
        text = json.dumps({**body, "spec": of.spec.to_wire(), "status": of.status.to_wire()})
        execution = of.status.execution
        assert execution is not None
        plans.append(json.loads(text.replace(format_time(execution.started_at), at)))
    plans[-1]["status"]["decision"]["reason"] = "ApprovalRequired"
    path = directory / "export.json"
    path.write_text(json.dumps({"kind": "List", "items": [*plans, {"kind": "Pod", "metadata": {"name": "x"}}]}))
    return path


def test_backtest_tells_changes_and_how_they_ended(tmp_path: Path) -> None:
    policy_file(tmp_path, rule("AutoLowRisk"))
    result = iirp("policy", "backtest", "--since", "2d", "-p", tmp_path / "policy.yaml", "--from", export(tmp_path))
    assert result.exit_code == 0, result.output
    assert "HumanApproval -> AutoLowRisk: AutoLowRisk in shop (policy p, rule restarts)" in result.output
    assert "ended Executed (Effective)" in result.output
    assert "1 plans: 0 stricter, 1 looser (1 had been effective, 0 not), 0 same, 0 not judged" in result.output
    as_json = iirp(
        "policy", "backtest", "-p", tmp_path / "policy.yaml", "--from", export(tmp_path), "-o", "json", "--all"
    )
    assert [row["change"] for row in json.loads(as_json.output)] == ["not judged"] * 5 + ["looser"]


@pytest.mark.parametrize("span", ["90", "d", "1y", "-1d"])
def test_a_span_is_a_number_and_a_unit(tmp_path: Path, span: str) -> None:
    path = policy_file(tmp_path, rule())
    assert iirp("policy", "backtest", f"--since={span}", "-p", path, "--from", export(tmp_path)).exit_code == 2


def test_autonomy_shows_what_was_earned_and_why_not(tmp_path: Path) -> None:
    path = export(tmp_path)
    shown = iirp("autonomy", "--from", path, "--min-success-percent", "40")
    assert shown.exit_code == 0
    assert "RestartDeployment" in shown.output
    assert shown.output.rstrip().endswith("yes")
    (strict,) = json.loads(iirp("autonomy", "--from", path, "--min-successes", "6", "-o", "json").output)
    assert (strict["trials"], strict["streak"], strict["earned"]) == (6, 5, False)
    assert strict["missing"].startswith("5 of 6 verified successes since the failure of")


def test_autonomy_without_a_record(tmp_path: Path) -> None:
    (tmp_path / "none.yaml").write_text("kind: List\nitems: []\n")
    assert "no plan has been carried out" in iirp("autonomy", "--from", tmp_path / "none.yaml").output

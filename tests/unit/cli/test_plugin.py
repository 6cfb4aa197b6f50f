"""`kubectl iirp` with the real kubectl against an API server over HTTP: what people read, and what is written."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.plugin.__main__ import main
from cli.plugin.build import main as build
from cli.plugin.completion import candidates
from cli.plugin.kube import Kubectl
from crds.v1alpha1 import ActionPlan, Approval, Incident, RCAReport
from tests.fakes import story
from tests.fakes.apiserver import ApiServer, serve

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """One for all, so that kubectl learns once what it serves."""
    with serve(tmp_path_factory.mktemp("pki")) as state:
        yield state


@pytest.fixture
def server(running: ApiServer, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> ApiServer:
    monkeypatch.setenv("KUBECACHEDIR", str(tmp_path_factory.getbasetemp() / "kubectl-cache"))
    running.objects.clear()
    for body in story.chain():
        running.add(body)
    return running


@pytest.fixture
def run(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The plugin as a user, alice unless said otherwise."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def call(*arguments: str, user: str = "alice") -> tuple[int, str, str]:
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(tmp_path / f"{user}.yaml", user)))
        code = main(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.mark.parametrize(
    ("lines", "code", "told"),
    [
        (["error: container is waiting to start", "[pod/a/c] 2030 hello"], 0, "[pod/a/c] 2030 hello"),
        (["error: container is waiting to start"], 1, "waiting to start; older lines: iirp logs --namespace=shop"),
        ([], 0, "no lines since"),
    ],
)
def test_logs_of_pods_that_run_are_shown_beside_those_that_do_not(
    run: Run, monkeypatch: pytest.MonkeyPatch, lines: list[str], code: int, told: str
) -> None:
    asked, real = [], Kubectl.run

    def answer(kubectl: Kubectl, *arguments: str, stdin: str = "") -> str:
        if arguments[0] != "logs":
            return real(kubectl, *arguments, stdin=stdin)
        asked.append(arguments)
        return "\n".join(lines)

    monkeypatch.setattr(Kubectl, "run", answer)
    done, out, err = run("logs", story.NAME)
    assert (done, told in out + err) == (code, True)
    assert "--ignore-errors" in asked[0]


def test_the_example_is_what_the_api_holds() -> None:
    for kind, body in zip((Incident, RCAReport, ActionPlan, Approval), story.chain(), strict=True):
        kind.from_wire(body)


def test_incidents_lists_what_is_open(run: Run, server: ApiServer) -> None:
    ended = story.incident()
    ended["metadata"]["name"], ended["status"]["state"] = "old-one", "Resolved"
    server.add(ended)
    code, out, _ = run("incidents")
    assert code == 0
    assert out.splitlines()[0].split()[:5] == ["NAME", "STATE", "SEV", "TYPE", "TARGET"]
    assert out.splitlines()[1].split()[:5] == [story.NAME, "AwaitingApproval", "high", "MemoryLeak", "deploy/payments"]
    assert "old-one" not in out
    assert "old-one" in run("incidents", "--all", "-A")[1]


@pytest.mark.parametrize(("output", "load"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_incidents_for_programs(run: Run, output: str, load: Callable[[str], Any]) -> None:
    assert load(run("incidents", "-o", output)[1])["items"][0]["metadata"]["name"] == story.NAME


def test_show_answers_what_why_and_who(run: Run) -> None:
    code, out, _ = run("show", story.NAME)
    assert code == 0
    for said in (
        "shop/payments-leak-x7k2q   AwaitingApproval   severity high", "84 %  BadRollout: rev 7 is the cause",
        "+ onset 45 s after rollout rev 7", "refuted  TrafficGrowth", "requests fell by 2 %", "needs 1 approval",
        "default/restart-needs-a-person", story.DIGEST, f"kubectl iirp approve {story.NAME}-1 -n shop",
    ):  # fmt: skip
        assert said in out
    assert "scale-by-itself" not in out, "what did not decide it is only counted"
    assert "1 more not matching" in out
    parts = json.loads(run("show", story.NAME, "-o", "json")[1])
    assert [len(parts[key]) for key in ("reports", "plans", "approvals")] == [1, 1, 1]


def test_timeline_is_in_order_and_harmless(run: Run) -> None:
    out = run("timeline", story.NAME)[1]
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["14:02:10", "14:06:52", "14:06:58", "14:07:05"]
    assert "\x1b" not in out
    assert "\\x1b[2Jcache miss" in out


@pytest.mark.parametrize("name", [story.NAME, f"{story.NAME}-1"])
@pytest.mark.parametrize("verdict", ["approve", "reject"])
def test_deciding_by_incident_or_approval(run: Run, server: ApiServer, name: str, verdict: str) -> None:
    code, out, err = run(verdict, name, "--yes", "--reason", "seen; in $(staging)")
    assert (code, out) == (0, f"{story.NAME}-1: {'approved' if verdict == 'approve' else 'rejected'}\n")
    assert story.DIGEST in err, "what is decided about is shown"
    (entry,) = server.objects["approvals", "shop", f"{story.NAME}-1"]["spec"]["decisions"]
    assert entry == {"by": "alice", "verdict": verdict, "reason": "seen; in $(staging)", "planDigest": story.DIGEST}


def test_who_may_not_is_told_what_is_missing(run: Run, server: ApiServer) -> None:
    code, out, err = run("approve", story.NAME, "--yes", user="eve")
    assert (code, out) == (1, "")
    assert "eve may not decide this approval" in err
    assert "--clusterrole=iirp-approver" in err
    assert "decisions" not in server.objects["approvals", "shop", f"{story.NAME}-1"]["spec"]


def test_nothing_is_decided_unasked_or_about_something_else(run: Run, server: ApiServer) -> None:
    assert run("approve", story.NAME)[0] == 2, "no terminal, no --yes"
    code, _, err = run("approve", story.NAME, "--yes", "--digest", "sha256:" + "0" * 64)
    assert code == 1
    assert "not about sha256:000" in err
    server.objects["approvals", "shop", f"{story.NAME}-1"]["status"]["state"] = "Expired"
    assert "nothing of incident" in run("approve", story.NAME, "--yes")[2]
    assert "decisions" not in server.objects["approvals", "shop", f"{story.NAME}-1"]["spec"]


def test_modify_makes_a_plan_that_supersedes(run: Run, server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.plugin.__main__._DECISION_SECONDS", 0.0)
    server.objects["actionplans", "shop", f"{story.NAME}-1"]["spec"]["onBehalfOf"] = "system:serviceaccount:a:agent"
    code, out, _ = run("modify", story.NAME, "--scale", "3")
    assert code == 0
    assert "approvals start anew" in out
    made = ActionPlan.from_wire(server.objects["actionplans", "shop", f"{story.NAME}-2"])
    assert (made.spec.requested_by, made.spec.on_behalf_of) == ("alice", "")
    assert made.spec.supersedes is not None
    assert (made.spec.supersedes.name, made.spec.supersedes.uid) == (
        f"{story.NAME}-1",
        f"uid-ActionPlan-{story.NAME}-1",
    )
    assert made.spec.actions[0].describe() == "Scale deploy/payments to 3" == made.spec.summary
    assert made.spec.actions[0].target.uid == "uid-d"
    owners = server.objects["actionplans", "shop", f"{story.NAME}-2"]["metadata"]["ownerReferences"]
    assert [(owner["uid"], owner["blockOwnerDeletion"]) for owner in owners] == [(f"uid-Incident-{story.NAME}", False)]


def test_modify_sets_parameters_and_keeps_the_rest(
    run: Run, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.plugin.__main__._DECISION_SECONDS", 0.0)
    actions = server.objects["actionplans", "shop", f"{story.NAME}-1"]["spec"]["actions"]
    actions.append({"id": "b", "type": "ScaleDeployment", "target": actions[0]["target"], "scale": {"replicas": 2}})
    assert run("modify", story.NAME, "--set", "replicas=4")[0] == 0
    made = ActionPlan.from_wire(server.objects["actionplans", "shop", f"{story.NAME}-2"])
    assert [action.describe() for action in made.spec.actions] == [
        "Restart deploy/payments",
        "Scale deploy/payments to 4",
    ]
    assert made.spec.summary == "Restart deploy/payments; Scale deploy/payments to 4"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--set", "image=evil"], "no action has it; its parameters: replicas"),
        (["--set", "replicas"], "say KEY=VALUE"),
        (["--set", "replicas=many"], "replicas is a number"),
        (["--set", "replicas=2"], "says already"),
        (["--set", "replicas=4", "--action", "nope"], "no action has it"),
    ],
)
def test_modify_sets_nothing_else(run: Run, server: ApiServer, given: list[str], said: str) -> None:
    actions = server.objects["actionplans", "shop", f"{story.NAME}-1"]["spec"]["actions"]
    actions.append({"id": "b", "type": "ScaleDeployment", "target": actions[0]["target"], "scale": {"replicas": 2}})
    assert said in run("modify", story.NAME, *given)[2]
    assert ("actionplans", "shop", f"{story.NAME}-2") not in server.objects


def test_modify_refuses_what_makes_no_sense(run: Run, server: ApiServer) -> None:
    assert "says already" in run("modify", story.NAME, "--restart")[2]
    assert run("modify", story.NAME, "--scale", "3", "--dry-run")[0] == 0
    assert ("actionplans", "shop", f"{story.NAME}-2") not in server.objects
    server.objects["actionplans", "shop", f"{story.NAME}-1"]["status"]["state"] = "Executing"
    assert "has started already" in run("modify", story.NAME, "--scale", "3")[2]


def test_unknown_names_and_bad_arguments(run: Run) -> None:
    code, out, err = run("show", "nope")
    assert (code, out) == (1, "")
    assert '"nope" not found' in err
    for wrong in ([], ["approve"], ["show", "x", "-o", "xml"], ["modify", "x"], ["reject", "x", "--yes"]):
        with pytest.raises(SystemExit, match="2"):
            run(*wrong)


def test_completion_offers_commands_and_names(run: Run) -> None:
    assert candidates(["ti"]) == ["timeline"]
    run("incidents")  # sets KUBECONFIG
    assert candidates(["show", ""]) == [story.NAME]
    assert candidates(["approve", "pay"]) == [f"{story.NAME}-1"]
    assert candidates(["show", "-n", "other", ""]) == []
    assert run("__complete", "show", "")[1] == f"{story.NAME}\n:4\n"
    assert "__complete" in run("completion")[1]


def test_one_file_runs_without_the_project(server: ApiServer, tmp_path: Path) -> None:
    """The zipapp, with nothing but the standard library and kubectl, as krew would install it."""
    assert build(["--out", str(tmp_path)]) == 0
    first = (tmp_path / "iirp.yaml").read_text()
    config = server.kubeconfig(tmp_path / "config")
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(tmp_path / "kubectl-iirp"), "timeline", story.NAME], cwd=tmp_path,
        env={"KUBECONFIG": str(config), "HOME": str(tmp_path), "PATH": str(Path(sys.executable).parent)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "rolled out rev 7" in done.stdout
    build(["--out", str(tmp_path)])
    assert (tmp_path / "iirp.yaml").read_text() == first, "the same sources give the same archive"
    plugin = yaml.safe_load(first)
    assert (plugin["kind"], plugin["metadata"]["name"], plugin["spec"]["platforms"][0]["bin"]) == (
        "Plugin", "iirp", "kubectl-iirp",
    )  # fmt: skip


def test_an_older_python_is_named_instead_of_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(["--out", str(tmp_path)])
    with zipfile.ZipFile(tmp_path / "kubectl-iirp") as archive:
        start = archive.read("__main__.py").decode()
    ast.parse(start, feature_version=(3, 7))
    monkeypatch.setattr(sys, "version_info", (3, 9, 18))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer as python3, and this is 3\.9"):
        exec(start, {})

"""A run does what its file says, tells how it goes, and takes everything away again, whatever happened."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from demo.driver.kubectl import Kubectl
from demo.driver.watch import Watch
from demo.scenario.checks import Checks
from demo.scenario.model import Scenario
from demo.scenario.place import Place
from demo.scenario.run import Result, Run
from external.rerun import Rerun
from tests.unit.demo.scenario.test_checks import Asked, checked, report
from tests.unit.demo.test_chain import approval, incident, plan

LISTING = {"incidents": [incident(state="AwaitingApproval")], "approvals": [approval("payments-1-1", "Pending")]}
NOTHING: dict[str, Any] = {"incidents": []}


class Cluster:
    """kubectl as the runs call it: answers what they ask and remembers what they did."""

    def __init__(self, refuses: str = "") -> None:
        self.calls: list[list[str]] = []
        self.applied: list[dict[str, Any]] = []
        self._refuses = refuses

    def __call__(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        words = [word for word in command[1:] if not word.startswith("--kubeconfig")]
        self.calls.append(words)
        if words[0] == "apply":
            self.applied += json.loads(options["input"])["items"]
        if self._refuses and self._refuses in " ".join(words):
            return subprocess.CompletedProcess(command, 1, "", "the server says no")
        pod = {"metadata": {"name": "payments-a"}, "status": {"phase": "Running"}, "kind": "Pod"}
        return subprocess.CompletedProcess(command, 0, json.dumps({"items": [pod]}), "")

    def did(self, text: str) -> bool:
        return any(text in " ".join(call) for call in self.calls)


class Script:
    """A Watch that shows one listing after the other; the last one stays."""

    def __init__(self, *listings: dict[str, Any]) -> None:
        self._rest: Iterator[dict[str, Any]] = iter(listings)
        self._now: dict[str, Any] = NOTHING

    def incidents(self) -> list[Any]:
        self._now = next(self._rest, self._now)
        return cast(list[Any], self._now["incidents"])

    def listing(self) -> dict[str, Any]:
        return self._now


class Clock(threading.Event):
    """A stop event on which waiting takes no time; it is set when the given time is over."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ends: float = 1e9) -> None:
        super().__init__()
        self.passed, self._ends = 0.0, ends
        monkeypatch.setattr("demo.scenario.run.time.monotonic", lambda: self.passed)

    def wait(self, timeout: float | None = None) -> bool:
        self.passed += timeout or 0
        return self.passed >= self._ends


SCENARIO: dict[str, Any] = {
    "name": "mine",
    "title": "something breaks",
    "setup": {"quiet": "10s"},
    "steps": [{"fault": {"workload": "payments", "name": "leak"}}],
    "approve": True,
    "expect": {
        "incidents": [{"type": "MemoryLeak", "target": "Deployment/payments"}], "within": "1s", "settle": "3s",
    },
    "cleanup": [{"heal": {"workload": "payments", "name": "leak"}}],
}  # fmt: skip


def run(
    monkeypatch: pytest.MonkeyPatch,
    watch: Script,
    cluster: Cluster,
    ends: float = 1e9,
    keep: bool = False,
    checks: Checks | None = None,
    **changes: Any,
) -> tuple[Result, list[str]]:
    monkeypatch.setattr("demo.driver.kubectl.program.program", lambda: "kubectl")
    monkeypatch.setattr(subprocess, "run", cluster)
    told: list[str] = []
    kubectl = Kubectl(Path("k"))
    one = Run(
        scenario=Scenario.model_validate({**SCENARIO, **changes}), number=1,
        place=Place(kubectl, "sc-mine-1", "shop:1", "iirp-system"), watch=cast(Watch, watch),
        approver=Kubectl(Path("alice")), stop=Clock(monkeypatch, ends), say=told.append, keep=keep,
        checks=checks,
    )  # fmt: skip
    return one.run(), told


def test_a_run_prepares_breaks_approves_judges_and_cleans_up(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster()
    result, told = run(monkeypatch, Script(*[NOTHING] * 10, LISTING), cluster)
    # The fake's incident is from January: what is older than the fault is a problem, and the only one.
    assert result.problems == ("MemoryLeak Deployment/payments was opened before the fault",)
    assert cluster.did("create --raw /api/v1/namespaces/sc-mine-1/pods/payments-a:9090/proxy/fault/leak")
    assert cluster.did("annotate approval payments-1-1 -n sc-mine-1 iirp.io/decision=approve")
    assert sum("annotate" in call for call in cluster.calls) == 1, "approved once, not at every look"
    assert cluster.did("delete --raw /api/v1/namespaces/sc-mine-1/pods/payments-a:9090/proxy/fault/leak")
    assert cluster.did("delete namespace sc-mine-1")
    assert any("incident MemoryLeak Deployment/payments" in line for line in told)
    kinds = {item["kind"]: item["metadata"].get("namespace") for item in cluster.applied}
    assert kinds["Deployment"] == "sc-mine-1"
    assert {"Namespace", "ActionPolicy", "RoleBinding"} <= kinds.keys()


def test_a_person_approves_when_a_step_says_so_and_a_step_waits_for_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [
        *SCENARIO["steps"],
        {"until": {"plan": "AwaitingApproval"}},
        {"scale": {"name": "payments", "replicas": 3}},
        {"approve": True},
    ]
    cluster = Cluster()
    waiting = {**LISTING, "actionplans": [plan("payments-1-1", "AwaitingApproval")]}
    run(monkeypatch, Script(*[NOTHING] * 12, waiting), cluster, steps=steps, approve=False)
    told = [" ".join(call) for call in cluster.calls]
    order = [word for call in told for word in ("fault/leak", "scale", "annotate") if word in call]
    assert order[:3] == ["fault/leak", "scale", "annotate"]


def test_a_plan_that_does_not_come_ends_the_run_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [*SCENARIO["steps"], {"until": {"plan": "Executed", "within": "5s"}}]
    result, _ = run(monkeypatch, Script(LISTING), Cluster(), steps=steps)
    assert "waiting for a plan that is Executed: none within 5 s" in result.problems[0]


def test_what_a_report_claims_is_run_again_and_a_difference_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(checked("same"), checked("changed", "then 9; now 0"))
    listing = {**LISTING, "rcareports": [report()]}
    result, _ = run(monkeypatch, Script(*[NOTHING] * 10, listing), Cluster(), checks=Checks(cast(Rerun, asked)))
    assert result.incidents[0].verified is not None
    assert result.incidents[0].verified.same == 1
    assert any("does not hold" in problem and "then 9; now 0" in problem for problem in result.problems)


def test_nothing_to_see_is_a_problem_after_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    expect = {**SCENARIO["expect"], "within": "0s"}
    result, _ = run(monkeypatch, Script(NOTHING), Cluster(), expect=expect)
    assert result.problems == ("no MemoryLeak about Deployment/payments within 0 s",)
    assert result.delay is None


@pytest.mark.parametrize("refuses", ["fault/leak", "get deployments", "apply"])
def test_a_step_that_fails_ends_the_run_in_words_and_it_still_cleans_up(
    monkeypatch: pytest.MonkeyPatch, refuses: str
) -> None:
    cluster = Cluster(refuses)
    result, _ = run(monkeypatch, Script(NOTHING), cluster)
    assert result.problems[0].startswith("could not be carried out: ")
    assert "the server says no" in result.problems[0]
    assert cluster.did("delete namespace sc-mine-1")


def test_ctrl_c_cleans_up(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster()
    result, _ = run(monkeypatch, Script(NOTHING), cluster, ends=5)
    assert result.problems == ("interrupted",)
    assert not cluster.did("/fault/leak -f"), "the fault was not switched on any more"
    assert cluster.did("delete namespace sc-mine-1")


def test_keep_leaves_the_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster()
    _, told = run(monkeypatch, Script(NOTHING), cluster, keep=True, expect={"none": "0s"})
    assert not cluster.did("delete namespace")
    assert "kept: namespace sc-mine-1" in told


def test_placeholders_are_filled_in_and_unknown_ones_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c"},
        "data": {"a": "${namespace} ${image}"},
    }
    cluster = Cluster()
    run(monkeypatch, Script(NOTHING), cluster, expect={"none": "0s"}, setup={"quiet": "0s", "manifests": [config]})
    (made,) = [item for item in cluster.applied if item["kind"] == "ConfigMap" and item["metadata"]["name"] == "c"]
    assert made["data"]["a"] == "sc-mine-1 shop:1"
    config["data"] = {"a": "${password}"}
    result, _ = run(monkeypatch, Script(NOTHING), Cluster(), setup={"quiet": "0s", "manifests": [config]})
    assert "${password} is not known" in result.problems[0]


def test_what_lies_outside_the_namespace_goes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "${namespace}"}}
    cluster = Cluster()
    run(monkeypatch, Script(NOTHING), cluster, expect={"none": "0s"}, setup={"quiet": "0s", "manifests": [volume]})
    (made,) = [item for item in cluster.applied if item["kind"] == "PersistentVolume"]
    assert "namespace" not in made["metadata"]
    assert cluster.did("delete -f -")

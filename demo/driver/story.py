"""The incident from the fault to the end: each step waits, with a deadline, for what the platform does by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from crds.v1alpha1.actionplan import ActionPlan, PlanState
from crds.v1alpha1.approval import ApprovalState
from crds.v1alpha1.incident import IncidentState
from crds.v1alpha1.verification import Verdict
from demo.driver import people
from demo.driver.chain import Chain, changes
from demo.driver.errors import DemoFailed
from demo.driver.kubectl import Kubectl, path_hint, ui_command
from demo.driver.shop import NAMESPACE, Shop
from demo.driver.tell import Teller
from demo.driver.watch import OutOfMemory, Watch

__all__ = ["Outcome", "Scenario", "Story"]

_INTERVAL = 1.0
_HUMAN_PATIENCE = 30 * 60.0
_OVER = {IncidentState.ESCALATED, IncidentState.CLOSED, IncidentState.RECOVERED}
_EXECUTED = {PlanState.EXECUTED, PlanState.VERIFIED, PlanState.INEFFECTIVE, PlanState.INCONCLUSIVE}


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is broken, and what the platform is to call it."""

    workload: str = "payments"
    fault: str = "leak"
    parameters: tuple[tuple[str, float], ...] = ()
    types: tuple[str, ...] = ("MemoryLeak",)
    text: str = "a cache in payments stops evicting: both pods leak about 0.7 MiB/s towards their limit of 192 MiB"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended. Seconds count from the fault; the waiting for a person is part of `resolved`."""

    chain: Chain
    detected: float
    resolved: float
    killed: int
    """Containers that the kernel killed for memory after the leak was called: none, unless a person took their time."""

    @property
    def succeeded(self) -> bool:
        """Resolved by an action that helped; that nothing was killed before the call has been seen to already."""
        status = self.chain.incident.status
        return status.state == IncidentState.RESOLVED and status.verdict == Verdict.EFFECTIVE


class Story:
    """One incident, followed live."""

    def __init__(
        self,
        kubectl: Kubectl,
        alice: Kubectl,
        bob: Kubectl,
        teller: Teller,
        approve: str = "auto",
        watch: Watch | None = None,
        cluster: str = "demo",
    ) -> None:
        self._kubectl = kubectl
        self._alice = alice
        self._bob = bob
        self._tell = teller
        self._approve = approve
        self._cluster = cluster
        self._watch = watch or Watch(kubectl.kubeconfig, NAMESPACE)
        self._shop = Shop(kubectl)
        self._known: set[str] = set()
        self._killed_before: frozenset[OutOfMemory] = frozenset()
        self._seen: Chain | None = None

    def prepare(self) -> None:
        """A fresh start: no fault left on, no objects of an earlier run; with an incident goes its chain."""
        if self._shop.heal():
            self._tell.line("an earlier run left a fault on: its pods were replaced")
        if self._watch.incidents():
            self._tell.line("objects of earlier incidents are removed")
            self._kubectl.run("delete", "incidents", "--all", "-n", NAMESPACE, timeout=60)
            if not self._watch.wait_gone(30):
                raise DemoFailed(
                    "removing earlier incidents", "their reports, plans or approvals did not go",
                    self._kubectl.shown("get", "iirp", "-n", NAMESPACE),
                )  # fmt: skip
        self._known = {str(item["metadata"]["uid"]) for item in self._watch.incidents()}
        self._killed_before = self._watch.kills()

    def run(self, scenario: Scenario) -> Outcome:
        """From the fault to the verdict. Raises DemoFailed with the step that did not come to its end."""
        pods = self._shop.break_it(scenario.workload, scenario.fault, dict(scenario.parameters))
        self._tell.fault_is_on()
        self._tell.line(f"fault on in {', '.join(pods)}: {scenario.text}", "bold red")
        chain = self._until("detection: an incident opens", scenario, 120, lambda _: True)
        detected = self._tell.since_fault
        if self._kills():
            raise DemoFailed("detection", "the kernel killed a container before the leak was called", self._look(chain))
        self._until("diagnosis: the report is complete", scenario, 60, _diagnosed)
        chain = self._until("policy: an approval is asked for", scenario, 60, _awaits_approval)
        self._show_objects()
        self._decide(chain, scenario)
        self._until("execution: the action is carried out", scenario, 120, _executed)
        self._until("verification: a verdict", scenario, 240, _verified)
        chain = self._until("the incident is resolved", scenario, 60, _resolved)
        resolved = self._tell.since_fault
        # Two controllers write the end, each its own object; the table below should show both.
        chain = self._until("the plan's state says so too", scenario, 45, _closed)
        return Outcome(chain, detected, resolved, len(self._kills()))

    def _kills(self) -> frozenset[OutOfMemory]:
        return self._watch.killed - self._killed_before

    def _decide(self, chain: Chain, scenario: Scenario) -> None:
        approval = chain.approval
        assert approval is not None  # noqa: S101 the step before waited for it
        arguments = people.decision_arguments(approval.metadata.name, "approve")
        self._tell.line("bob, who may edit approvals but lacks the verb approve, tries:")
        self._tell.command(people.typed(arguments, "bob"))
        self._tell.output(people.refused(self._bob, approval.metadata.name))
        if self._approve == "ask":
            self._tell.line("your decision, as alice (or iirp.io/decision=reject):", "bold yellow")
            if hint := path_hint():
                self._tell.command(hint)
            self._tell.command(self._alice.shown(*arguments))
            self._tell_page(chain)
            chain = self._until("a person decides", scenario, _HUMAN_PATIENCE, _decided)
            if _rejected(chain):
                raise DemoFailed(
                    "your decision", "rejected: nothing was changed, people have to look, and the leak goes on",
                    self._kubectl.shown("describe", "incidents", "-n", NAMESPACE),
                )  # fmt: skip
            return
        self._tell.line("alice decides:")
        self._tell.command(people.typed(arguments, "alice"))
        self._tell.output(people.decide(self._alice, approval.metadata.name, "approve"))

    def _tell_page(self, chain: Chain) -> None:
        """The other way to decide: in a browser, as somebody who may."""
        self._tell.line("or in a browser, from another terminal; it prints the token to sign in with:")
        self._tell.command(ui_command(self._cluster, "approver", chain.incident.metadata.name))

    def _until(self, step: str, scenario: Scenario, timeout: float, done: Callable[[Chain], bool]) -> Chain:
        """Looks every second and tells what changed, until `done`; fails at the deadline or when all is over."""
        deadline = time.monotonic() + timeout
        while True:
            chain = self._watch.chain(scenario.workload, scenario.types, self._known)
            if chain is not None:
                for change in changes(self._seen, chain):
                    self._tell.change(change)
                self._seen = chain
                if done(chain):
                    return chain
                self._give_up_when_over(step, chain)
            if time.monotonic() > deadline:
                raise DemoFailed(step, f"not within {timeout:.0f} s", self._look(chain))
            time.sleep(_INTERVAL)

    def _give_up_when_over(self, step: str, chain: Chain) -> None:
        status = chain.incident.status
        if status.state in _OVER:
            reasons = [f"{entry.reason}: {entry.message}" for entry in status.conditions if entry.type == status.state]
            words = "; ".join([f"the incident ended as {status.state}", *reasons])
            raise DemoFailed(step, words, self._look(chain))

    def _show_objects(self) -> None:
        self._tell.command(f"kubectl get iirp -n {NAMESPACE}")
        self._tell.output(self._kubectl.run("get", "iirp", "-n", NAMESPACE))

    def _look(self, chain: Chain | None) -> str:
        """The command that shows most of where it hangs."""
        if chain is None:
            return self._kubectl.shown("logs", "-n", "iirp-system", "deploy/iirp-detection", "--tail=50")
        kinds = "incidents,rcareports" if chain.plan is None else "actionplans,approvals"
        return self._kubectl.shown("describe", kinds, "-n", NAMESPACE)


def _diagnosed(chain: Chain) -> bool:
    return chain.report is not None and bool(chain.report.status.root_causes)


def _awaits_approval(chain: Chain) -> bool:
    return chain.approval is not None and chain.approval.status.state == ApprovalState.PENDING


def _decided(chain: Chain) -> bool:
    return chain.approval is not None and chain.approval.status.state != ApprovalState.PENDING


def _rejected(chain: Chain) -> bool:
    return chain.approval is not None and chain.approval.status.state == ApprovalState.REJECTED


def _executed(chain: Chain) -> bool:
    return _plan(chain).status.execution is not None and _plan(chain).status.state in _EXECUTED


def _verified(chain: Chain) -> bool:
    verification = _plan(chain).status.verification
    return verification is not None and verification.verdict is not None


def _resolved(chain: Chain) -> bool:
    return chain.incident.status.state == IncidentState.RESOLVED


def _closed(chain: Chain) -> bool:
    return _plan(chain).status.state != PlanState.EXECUTED


def _plan(chain: Chain) -> ActionPlan:
    assert chain.plan is not None  # noqa: S101 every step after the policy's has one
    return chain.plan

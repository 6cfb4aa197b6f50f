"""The story ends well, or says which step did not, why, and where to look."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from demo.driver.chain import Chain, chain_of, choose_incident
from demo.driver.errors import DemoFailed
from demo.driver.kubectl import Kubectl
from demo.driver.story import Outcome, Scenario, Story
from demo.driver.tell import Teller
from demo.driver.watch import OutOfMemory, Watch
from tests.unit.demo.test_chain import approval, incident

Wire = dict[str, Any]


def chain(state: str, verdict: str | None = None, **condition: str) -> Chain:
    wire = incident(state=state)
    wire["status"]["verdict"] = verdict
    if condition:
        wire["status"]["conditions"] = [
            {"type": state, "status": "True", "lastTransitionTime": "2026-01-01T10:02:00Z", **condition}
        ]
    chosen = choose_incident([wire], "payments", ["MemoryLeak"], set())
    assert chosen is not None
    return chain_of(chosen, {"approvals": [approval("payments-1-1", "Pending")]})


class Script:
    """A Watch that shows one chain after the other; the last one stays."""

    def __init__(self, *chains: Chain | None, killed: tuple[OutOfMemory, ...] = ()) -> None:
        self._chains: Iterator[Chain | None] = iter(chains)
        self._now: Chain | None = None
        self.killed = frozenset(killed)

    def chain(self, *_: Any) -> Chain | None:
        self._now = next(self._chains, self._now)
        return self._now


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes as fast as it is asked for; kubectl answers with one payments pod."""
    now = [0.0]
    monkeypatch.setattr("demo.driver.story.time.monotonic", lambda: now[0])
    monkeypatch.setattr("demo.driver.story.time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    pods = {"items": [{"metadata": {"name": "payments-a"}, "status": {"phase": "Running"}}]}
    monkeypatch.setattr("demo.driver.kubectl.program.program", lambda: "kubectl")
    monkeypatch.setattr(
        subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 0, json.dumps(pods), "")
    )


def story(watch: Script, approve: str = "auto") -> tuple[Story, io.StringIO]:
    out = io.StringIO()
    person = Kubectl(Path("k"))
    teller = Teller(Console(file=out, highlight=False, soft_wrap=True))
    return Story(person, person, person, teller, approve, cast(Watch, watch), cluster="shopping"), out


def test_no_incident_in_time_names_detection_and_its_log() -> None:
    told, _ = story(Script(None))
    with pytest.raises(DemoFailed, match=r"(?s)detection: an incident opens: not within 120 s.*deploy/iirp-detection"):
        told.run(Scenario())


def test_a_kill_before_the_call_is_a_failure() -> None:
    told, _ = story(Script(chain("Detected"), killed=(OutOfMemory("payments-a", "t"),)))
    with pytest.raises(DemoFailed, match="the kernel killed a container before the leak was called"):
        told.run(Scenario())


def test_an_incident_that_ends_otherwise_ends_the_story_with_its_reason() -> None:
    told, out = story(Script(chain("Detected"), chain("Escalated", reason="Rejected", message="alice said no")))
    with pytest.raises(DemoFailed, match="the incident ended as Escalated; Rejected: alice said no"):
        told.run(Scenario())
    assert "fault on in payments-a" in out.getvalue()
    assert "incident/payments-1 Escalated" in out.getvalue()


@pytest.mark.parametrize(
    ("state", "verdict", "good"),
    [("Resolved", "Effective", True), ("Resolved", "RecoveredAnyway", False), ("Verifying", "Effective", False)],
)
def test_only_resolved_by_an_effective_action_is_a_good_end(state: str, verdict: str, good: bool) -> None:
    assert Outcome(chain(state, verdict), 40.0, 110.0, 0).succeeded is good


def test_who_decides_in_a_browser_is_told_where_and_as_whom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo.driver.people.refused", lambda *_: "Error: bob may not")
    told, out = story(Script(chain("AwaitingApproval")), "ask")
    with pytest.raises(DemoFailed, match="a person decides: not within"):
        told._decide(chain("AwaitingApproval"), Scenario())
    assert "iirp ui --name=shopping --account=approver payments-1" in out.getvalue()

"""Approving is one annotation, made by a user of the API server."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from demo.driver import people
from demo.driver.errors import DemoFailed
from demo.driver.kubectl import Kubectl


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.CompletedProcess[str]]:
    answers: list[subprocess.CompletedProcess[str]] = []
    monkeypatch.setattr("demo.driver.kubectl.program.program", lambda: "kubectl")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: answers.pop(0))
    return answers


def test_the_command_is_shown_as_it_can_be_typed() -> None:
    arguments = people.decision_arguments("payments-1-1", "approve")
    assert people.typed(arguments, "alice") == (
        "kubectl annotate approval payments-1-1 -n shop iirp.io/decision=approve "
        'iirp.io/reason="matches what we saw in staging"   # as alice'
    )


def test_a_refusal_is_what_is_wanted_of_bob(answer: list[subprocess.CompletedProcess[str]]) -> None:
    answer.append(subprocess.CompletedProcess([], 1, "", "Error: bob may not decide this approval\n"))
    assert people.refused(Kubectl(Path("k")), "a") == "Error: bob may not decide this approval"


def test_an_approval_by_bob_that_goes_through_ends_the_demo(answer: list[subprocess.CompletedProcess[str]]) -> None:
    answer.append(subprocess.CompletedProcess([], 0, "approval/a annotated", ""))
    with pytest.raises(DemoFailed, match="the admission policies are not in force"):
        people.refused(Kubectl(Path("k")), "a")


def test_a_failed_command_names_itself_and_its_words(answer: list[subprocess.CompletedProcess[str]]) -> None:
    answer.append(subprocess.CompletedProcess([], 1, "", "connection refused"))
    with pytest.raises(DemoFailed, match=r"(?s)kubectl annotate approval a.*connection refused"):
        people.decide(Kubectl(Path("k")), "a", "approve")

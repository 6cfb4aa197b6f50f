"""The page of reasons names every reason that a plan or an approval can have, and none that is gone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from controllers.feedback.observed import STATES
from tests.unit.docs.pages import DOCS, ROOT

PAGE = (DOCS / "reference/reasons.md").read_text()
ROOMS = ("policy", "approval", "execution", "feedback", "arbitration")
KINDS = {
    "ConfigMap", "DaemonSet", "HorizontalPodAutoscaler", "HorizontalPodAutoscalers", "PersistentVolumeClaim",
    "ReplicaSet", "ScaledObject", "ScaledObjects", "ServiceAccount", "StatefulSet", "ValidatingAdmissionPolicy",
}  # fmt: skip
OTHERS = {
    "policy": {"DoesNotExist", "IncidentGone", "MemoryLeak", "NewerPlan", "NotIn", "OnDelete"},
    "execution": {"NotFound"},
    "feedback": STATES | {"CrashLoop"},
    "arbitration": {"IfNotPresent", "PauseRollout"},
}
"""Words of Kubernetes, types of incidents, and what only logs and the condition `Superseded` say."""
WORD = re.compile(r"(?:[A-Z][a-z]+|CD){2,}")


def constants(room: str) -> Iterator[str]:
    """All strings in a package of controllers."""
    for path in sorted((ROOT / "controllers" / room).glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


@pytest.mark.parametrize("room", ROOMS)
def test_every_reason_is_explained(room: str) -> None:
    said = {text for text in constants(room) if WORD.fullmatch(text)} - KINDS - OTHERS.get(room, set())
    assert said
    assert sorted(word for word in said if f"`{word}`" not in PAGE) == []


def test_no_reason_is_explained_that_nobody_gives() -> None:
    said = {text for room in ROOMS for text in constants(room)}
    first_column = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    named = {word for cell in first_column for word in re.findall(r"`(\w+)`", cell)}
    assert len(named) > 50
    assert sorted(named - said) == []

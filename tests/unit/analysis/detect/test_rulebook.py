"""Rules that change while the server runs, and rules that differ by namespace."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.configfile import ConfigError
from analysis.detect.evaluate import evaluate_all
from analysis.detect.rulebook import POLL_SECONDS, RuleBook, load_rules
from tests.unit.analysis.detect.world import observed, signal
from tests.unit.analysis.shapes import END, flat, sampled

POD = "payments-7c9d8f6b5d-abcde"
RULE = """rules:
  - name: restarts
    detector: signal
    description: Restarts.
    type: Restarted
    severity: {severity}
    signals: [Restarted]
    minCount: 3
    active: 5m
    summary: restarts
"""


def write(folder: Path, severity: str = "medium", more: str = "") -> Path:
    (folder / "rules.yaml").write_text(RULE.format(severity=severity) + more)
    return folder


def test_a_changed_file_is_in_force_within_seconds_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    now = [0.0]
    book = RuleBook(write(tmp_path), lambda: now[0])
    first = book.current()
    write(tmp_path, "high", "# longer\n")
    assert book.current() is first, "not looked at yet"
    now[0] += POLL_SECONDS
    second = book.current()
    assert second.rules[0].severity == "high"
    (tmp_path / "rules.yaml").write_text("rules: [{name: x}]")
    now[0] += POLL_SECONDS
    assert book.current() is second
    assert "rules.yaml" in book.problem
    write(tmp_path)
    now[0] += POLL_SECONDS
    assert book.current().version == first.version
    assert not book.problem


def test_a_server_does_not_start_with_rules_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no rules"):
        RuleBook(tmp_path)


@pytest.mark.parametrize(
    ("override", "severities"),
    [
        ("", ["medium"]),
        ("{rule: restarts, namespaces: [shop], set: {severity: high}}", ["high"]),
        ("{rule: restarts, namespaces: ['sh.*'], set: {minCount: 10}}", []),
        ("{rule: restarts, namespaces: [shop], set: {enabled: false}}", []),
        ("{rule: restarts, namespaces: [other], set: {enabled: false}}", ["medium"]),
        ("{rule: restarts, namespaces: [ho], set: {severity: high}}", ["medium"]),
    ],
)
def test_namespaces_may_have_it_otherwise(tmp_path: Path, override: str, severities: list[str]) -> None:
    rules = load_rules(write(tmp_path, more=f"overrides:\n  - {override}\n" if override else ""))
    world = observed({POD: sampled(flat())}, signals=(signal("Restarted", POD, END - 10, count=4),))
    found = [one for evaluation in evaluate_all(rules, world).values() if evaluation for one in evaluation.findings]
    assert [one.severity for one in found] == severities


@pytest.mark.parametrize(
    ("override", "word"),
    [
        ("{rule: nobody, namespaces: [a]}", "nobody"),
        ("{rule: restarts, namespaces: []}", "namespaces"),
        ("{rule: restarts, namespaces: ['(']}", "regular expression"),
        ("{rule: restarts, namespaces: [a], set: {threshold: 1}}", "threshold"),
        ("{rule: restarts, namespaces: [a], set: {name: other}}", "cannot be set"),
    ],
)
def test_a_mistake_in_an_override_is_named(tmp_path: Path, override: str, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        load_rules(write(tmp_path, more=f"overrides:\n  - {override}\n"))

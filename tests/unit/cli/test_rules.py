"""`iirp rules test`: exit codes and what is printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from analysis.config import DATA_ROOT
from cli.rules import rules

CASE = "tests:\n  - name: quiet\n    pods: {{a-7c9d8f6b5d-abcde: 60Mix30}}\n    expect: {expect}\n"


@pytest.mark.parametrize(
    ("text", "code", "word"),
    [
        (CASE.format(expect="[]"), 0, "1 passed, 0 failed"),
        (CASE.format(expect="[{type: MemoryLeak, workload: a}]"), 1, "MemoryLeak of a was not reported"),
        ("tests: []\n", 1, "tests"),
    ],
)
def test_exit_code_and_words(tmp_path: Path, text: str, code: int, word: str) -> None:
    path = tmp_path / "case.yaml"
    path.write_text(text)
    done = CliRunner().invoke(rules, ["test", str(path)])
    assert done.exit_code == code
    assert word in done.output


@pytest.mark.parametrize(("text", "code", "word"), [("rules: []\n", 0, "0 rules"), ("rules: [{name: x}]\n", 1, "FAIL")])
def test_a_file_is_checked_before_it_is_put_into_force(tmp_path: Path, text: str, code: int, word: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    done = CliRunner().invoke(rules, ["check", str(path)])
    assert done.exit_code == code
    assert word in done.output


SPARED = "overrides:\n  - {{rule: {rule}, namespaces: [batch], set: {{{set}}}}}\n"
OWN = """rules:
  - name: ours
    detector: signal
    description: An image cannot be pulled.
    type: ImagePullFailed
    severity: medium
    signals: [ImagePull]
    active: 2m
    summary: image cannot be pulled
"""


@pytest.mark.parametrize(
    ("rule", "set_", "beside", "wrong"),
    [
        ("latency", "threshold: 10s, clear: 7s", "", ""),
        ("ours", "enabled: false", OWN, ""),
        ("ours", "enabled: false", "", "overrides of rules that do not exist: ours"),
        ("latncy", "enabled: false", OWN, "overrides of rules that do not exist: latncy"),
        ("latency", "treshold: 10s", "", "treshold: Extra inputs are not permitted"),
    ],
)
def test_an_override_is_checked_against_the_rules_that_there_are(
    tmp_path: Path, rule: str, set_: str, beside: str, wrong: str
) -> None:
    (tmp_path / "a.yaml").write_text(SPARED.format(rule=rule, set=set_))
    (tmp_path / "b.yaml").write_text(beside)
    done = CliRunner().invoke(rules, ["check", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")])
    first = done.output.splitlines()[0]
    assert (done.exit_code, wrong in first, str(tmp_path / "a.yaml") in first) == (bool(wrong), True, True)


def test_the_rules_that_are_shipped_can_be_used() -> None:
    done = CliRunner().invoke(rules, ["check", str(DATA_ROOT / "rules")])
    assert done.exit_code == 0, done.output

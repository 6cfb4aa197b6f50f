"""Rule tests as data: what passes, what fails, and how a mistake is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.config import DATA_ROOT
from analysis.configfile import ConfigError
from analysis.detect.check import RuleCase, check, expand, load_cases
from analysis.detect.rules import RuleSet

MIB = 1024.0 * 1024.0
LEAK = "60Mix60 60Mi+3Mix60"
POD = "payments-7c9d8f6b5d-abcde"


@pytest.mark.parametrize("path", sorted((DATA_ROOT / "rules" / "tests").glob("*.yaml")), ids=lambda path: path.name)
def test_the_shipped_rules_pass_their_tests(rules: RuleSet, path: Path) -> None:
    for case in load_cases(path).tests:
        assert check(rules, case) == [], case.name


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1Mi", [MIB]),
        ("1Mix2", [MIB] * 3),
        ("1Mi+1Mix2", [MIB, 2 * MIB, 3 * MIB]),
        ("3-1x2 _x2 5", [3, 2, 1, np.nan, np.nan, 5]),
        ("", []),
    ],
)
def test_series_expand_as_promtool_has_it(text: str, values: list[float]) -> None:
    np.testing.assert_array_equal(expand(text), values)


@pytest.mark.parametrize("text", ["1MB", "x3", "1+", "1x99999"])
def test_what_is_no_series_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        expand(text)


@pytest.mark.parametrize(
    ("expect", "word"),
    [
        ([], "should not have been"),
        ([{"type": "MemoryLeak", "workload": "payments", "by": "10m"}], "later than 600 s"),
        (
            [{"type": "MemoryLeak", "workload": "payments"}, {"type": "OOMKilled", "workload": "payments"}],
            "OOMKilled of payments was not reported",
        ),
    ],
)
def test_a_failure_says_what_went_wrong(rules: RuleSet, expect: list[dict[str, str]], word: str) -> None:
    case = RuleCase.model_validate({"name": "leak", "pods": {POD: LEAK}, "expect": expect})
    (wrong,) = check(rules, case)
    assert word in wrong


def test_an_unknown_key_is_named_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "tests.yaml"
    path.write_text("tests:\n  - {name: x, pods: {}, expect: [], expected: []}\n")
    with pytest.raises(ConfigError, match=r"tests\.yaml.*expected"):
        load_cases(path)

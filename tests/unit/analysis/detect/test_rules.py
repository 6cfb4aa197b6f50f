from __future__ import annotations

from pathlib import Path

import pytest

from analysis.configfile import ConfigError
from analysis.detect.rulebook import load_rules
from analysis.detect.rules import RuleSet

RULE = """
rules:
  - name: gone
    detector: signal
    description: d
    type: Gone
    severity: low
    signals: [Gone]
    active: {active}
    summary: s
{more}
"""

TWIN = """
  - {name: gone, detector: signal, description: d, type: G, severity: low, signals: [x], active: 1m, summary: s}
"""


def write(folder: Path, active: str = "5m", more: str = "") -> Path:
    (folder / "a.yaml").write_text(RULE.format(active=active, more=more))
    return folder


def test_the_shipped_rules_load(rules: RuleSet) -> None:
    assert {"memory-leak", "memory-spike", "oom-killed", "crash-loop"} <= {rule.name for rule in rules.rules}


def test_version_follows_the_text(tmp_path: Path) -> None:
    first = load_rules(write(tmp_path)).version
    assert load_rules(write(tmp_path)).version == first
    assert load_rules(write(tmp_path, active="6m")).version != first


@pytest.mark.parametrize(
    ("active", "more", "words"),
    [
        ("300", "", "unit"),
        ("5 minutes", "", "unit"),
        ("5m", "    colour: red", "colour"),
        ("5m", "    minCount: 0", "minCount"),
        ("5m", TWIN, "twice"),
        ("[", "", "a.yaml"),
    ],
)
def test_bad_rules_are_named_in_one_line(tmp_path: Path, active: str, more: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        load_rules(write(tmp_path, active, more))
    assert "\n" not in str(caught.value)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no rules"):
        load_rules(tmp_path)

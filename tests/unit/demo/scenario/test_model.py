"""Scenario files: what is accepted, what is refused and in which words, and that ours are good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.driver.errors import DemoFailed
from demo.scenario.load import choose, known, read
from demo.scenario.model import seconds
from demo.shop.faults import FAULTS

GOOD: dict[str, Any] = {
    "name": "mine",
    "title": "something breaks",
    "steps": [{"wait": "10s"}, {"scale": {"name": "web", "replicas": 0}}],
    "expect": {"incidents": [{"type": "ScaledToZero", "target": "Deployment/web"}], "within": "30s"},
}


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({**GOOD, **changes}))
    return path


def test_a_good_file_reads_and_counts_delays_from_the_first_act(tmp_path: Path) -> None:
    scenario = read(written(tmp_path))
    assert scenario.injecting() == 1
    assert scenario.expect.incidents[0].target == ("Deployment/web",)
    assert (scenario.expect.within, scenario.group) == (30.0, "own")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stepps": []}, "stepps: unknown key"),
        ({"steps": [{"wait": "ten"}]}, "steps.0.wait: 'ten' is not a time: a number with ms, s, m or h"),
        ({"steps": [{"wait": 10}]}, "steps.0.wait: 10 is not a time"),
        ({"steps": [{"wait": "7h"}]}, "more than 6h"),
        ({"steps": [{}]}, "steps.0: a step does exactly one of: apply"),
        ({"steps": [{"wait": "1s", "heal": {"workload": "a", "name": "leak"}}]}, "steps.0: a step does exactly one of"),
        ({"steps": [{"patch": {"kind": "service", "name": "--all", "patch": {}}}]}, "steps.0.patch.name"),
        ({"steps": [{"delete": {"kind": "pod"}}]}, "delete needs `name` or `selector`"),
        ({"steps": []}, "incidents are expected, but no step does anything"),
        ({"expect": {}}, "expect: expect needs `incidents` or `none`, not both"),
        ({"expect": {"none": "1m", "incidents": GOOD["expect"]["incidents"]}}, "not both"),
        ({"expect": {"incidents": [{"type": "X", "target": "web"}]}}, "expect.incidents.0.target"),
        (
            {"expect": {"incidents": [{"type": "X", "target": "Deployment/web", "verdict": "Effective"}]}},
            "a verdict needs `approve: true`",
        ),
        ({"setup": {"shop": False}, "steps": [{"load": {"rate": 9}}]}, "need the shop's image"),
        ({"name": "Not A Name"}, "name: String should match"),
    ],
)
def test_a_bad_file_is_refused_with_the_place_and_the_reason(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(DemoFailed) as refused:
        read(written(tmp_path, **changes))
    assert words in str(refused.value)
    assert str(tmp_path / "mine.yaml") in str(refused.value)


@pytest.mark.parametrize("text", ["[1, 2]", "a: b: c", "\x00"])
def test_what_is_no_mapping_is_refused_in_words(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(DemoFailed, match=r"scenario .*x\.yaml"):
        read(path)


@pytest.mark.parametrize(("text", "value"), [("250ms", 0.25), ("90s", 90), ("1.5m", 90), ("1h", 3600)])
def test_times_carry_their_unit(text: str, value: float) -> None:
    assert seconds(text) == value


def test_ours_are_valid_have_names_of_their_own_and_use_faults_that_exist() -> None:
    scenarios = known()
    assert len(scenarios) >= 14
    for scenario in scenarios.values():
        for step in scenario.steps:
            if step.fault:
                fault = FAULTS[step.fault.name](**step.fault.parameters)
                fault.check()


def test_choosing_by_name_group_and_all() -> None:
    scenarios = known()
    assert [item.name for item in choose(["leak", "leak"], scenarios)] == ["leak"]
    assert {item.group for item in choose(["all"], scenarios)} == {"faults", "calm"}
    assert {item.name for item in choose(["calm"], scenarios)} >= {"quiet", "warm-up", "daily-peak"}
    with pytest.raises(DemoFailed, match=r"(?s)no scenario 'lek'; there are leak.*--scenario-file"):
        choose(["lek"], scenarios)

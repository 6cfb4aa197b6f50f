"""The demo's commands: arguments, and failures in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.demo import demo
from demo.driver.errors import DemoFailed


def test_a_failure_names_its_step_and_what_to_do_next(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any, **__: Any) -> bool:
        raise DemoFailed("detection: an incident opens", "not within 120 s", "kubectl logs deploy/iirp-detection")

    monkeypatch.setattr("demo.driver.run.run", run)
    result = CliRunner().invoke(demo, ["--name", "x"])
    assert result.exit_code == 1
    assert "detection: an incident opens: not within 120 s\n  next: kubectl logs deploy/iirp-detection" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "arguments", [["--approve", "maybe"], ["--values", "no-such-file.yaml"], ["nonsense"], ["--nonsense"]]
)
def test_wrong_arguments_exit_2(arguments: Sequence[str]) -> None:
    assert CliRunner().invoke(demo, list(arguments)).exit_code == 2


def test_what_is_asked_for_is_what_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("demo.driver.run.run", lambda name, approve, _, values: seen.append((name, approve, values)))
    file = tmp_path / "v.yaml"
    file.write_text("{}")
    assert CliRunner().invoke(demo, ["--name", "n", "--approve", "ask", "-f", str(file)]).exit_code == 0
    assert seen == [("n", "ask", (file,))]


@pytest.mark.parametrize(("passed", "code"), [(True, 0), (False, 1)])
def test_scenarios_run_instead_and_one_failure_is_exit_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, passed: bool, code: int
) -> None:
    seen: list[Any] = []

    def perform(_: Any, scenarios: list[Any], options: Any, __: Any) -> bool:
        seen.append(([item.name for item in scenarios], options.repeat, options.parallel, options.report))
        return passed

    monkeypatch.setattr("cli.scenarios.own_ground", lambda *_: None)
    monkeypatch.setattr("cli.scenarios.perform", perform)
    own = tmp_path / "own.yaml"
    own.write_text("{name: own, title: nothing, setup: {shop: false}, expect: {none: 1m}}")
    arguments = ["--scenario", "leak, quiet", "--scenario-file", str(own), "--repeat", "3", "--parallel", "2"]
    result = CliRunner().invoke(demo, [*arguments, "--report", str(tmp_path / "out.json")])
    assert result.exit_code == code
    names = ["leak", "quiet", "own"]
    assert seen == [(names, 3, 2, tmp_path / "out.json")]


def test_a_scenario_that_is_not_there_is_named_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.scenarios.own_ground", lambda *_: pytest.fail("nothing may start"))
    result = CliRunner().invoke(demo, ["--scenario", "leek"])
    assert result.exit_code == 1
    assert "no scenario 'leek'" in result.output


def test_the_scenarios_are_listed_without_a_cluster() -> None:
    result = CliRunner().invoke(demo, ["--scenarios"])
    assert result.exit_code == 0
    assert "zero-endpoints" in result.output
    assert "no incident for 30 min" in result.output


@pytest.mark.parametrize(
    ("arguments", "name"), [(["down"], "demo"), (["--name", "a", "down"], "a"), (["down", "--name", "b"], "b")]
)
def test_down_takes_the_name_from_either_place(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], name: str
) -> None:
    seen: list[str] = []
    monkeypatch.setattr("demo.platform.down", seen.append)
    assert CliRunner().invoke(demo, arguments).exit_code == 0
    assert seen == [name]

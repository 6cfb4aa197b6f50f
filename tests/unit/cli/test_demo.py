"""The demo's commands: arguments, and failures in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli.demo import demo
from cli.ui import ui
from demo.driver.errors import DemoFailed
from devcluster.errors import ClusterError


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
    assert seen == [("n", "ask", [file])]


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


def test_ui_says_when_there_is_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> None:
        raise ClusterError(f"there is no cluster {name}")

    monkeypatch.setattr("devcluster.select.load", load)
    result = CliRunner().invoke(ui, ["--name", "gone"])
    assert (result.exit_code, result.output) == (1, "Error: there is no cluster gone\n")

"""`iirp logs`, `iirp metrics`, `iirp external`: arguments, and what reaches the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.external import external
from cli.plugin.words import harmless
from cli.telemetry import _spark, logs, metrics


@pytest.fixture(autouse=True)
def nothing_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IIRP_STATE_DIR", str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--since", "yesterday"], "neither a duration"),
        (["--since", "5m", "--until", "10m"], "--since must lie before --until"),
        (["--selector", "app"], "is no selector"),
        (["--limit", "0"], "0 is not in the range"),
    ],
)
def test_bad_arguments_exit_2(arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(logs, arguments)
    assert done.exit_code == 2
    assert words in done.output


def test_without_an_external_side_the_next_step_is_named() -> None:
    done = CliRunner().invoke(metrics, ["up", "--name", "gone"])
    assert done.exit_code == 1
    assert "iirp external up --name gone" in done.output


def test_status_of_nothing_exits_1() -> None:
    done = CliRunner().invoke(external, ["status", "-o", "json"])
    assert done.exit_code == 1
    assert '"state": "Stopped"' in done.output


@pytest.mark.parametrize("arguments", [["status"], ["logs", "loki"]])
def test_where_nothing_ran_the_next_step_is_to_start_it(arguments: list[str]) -> None:
    done = CliRunner().invoke(external, [*arguments, "--name", "gone"])
    assert done.exit_code == 1
    assert "iirp external up --name gone" in done.output
    assert "external logs" not in done.output


def test_a_compose_project_says_what_it_still_needs(tmp_path: Path) -> None:
    done = CliRunner().invoke(external, ["render", str(tmp_path / "x"), "--host", "iirp.example.org"])
    assert done.exit_code == 0, done.output
    for word in ("credentials/tokenreview.kubeconfig", "docker build", "docker compose up -d"):
        assert word in done.output


def test_wrong_settings_are_one_line(tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text("logs: {retentionDays: never}")
    done = CliRunner().invoke(external, ["up", "--settings", str(settings)])
    assert done.exit_code == 1
    assert "logs.retentionDays" in done.output


def test_log_text_cannot_command_the_terminal() -> None:
    assert harmless("\x1b[2J\x07 ok grün\u202e") == "\\x1b[2J\\x07 ok grün\\x202e"


def test_a_flat_line_is_flat() -> None:
    assert len(set(_spark([3.0, 3.0, 3.0]))) == 1
    assert len(_spark([float(number) for number in range(1000)])) <= 40

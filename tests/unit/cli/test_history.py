"""Through the real routes of the analysis server, with its history in a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fastapi.testclient import TestClient

import cli.history
from analysis.api.app import create_app
from cli.history import history
from external.query import Gateway
from tests.unit.analysis.api.test_history import as_, config, secret
from tests.unit.analysis.history.test_store import record

NOW = datetime.now(tz=UTC)
LINE = {"at": NOW.isoformat(), "source": "log", "message": "said \x1b[31mred"}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    with TestClient(create_app(config(tmp_path, f"sqlite:///{tmp_path / 'h.db'}"))) as found:
        yield found


@pytest.fixture
def run(client: TestClient, monkeypatch: pytest.MonkeyPatch):
    kept = [
        record("u1", name="old", began=NOW - timedelta(days=60), state="Resolved", verdict="Effective"),
        record("u2", name="new", began=NOW - timedelta(hours=1), workload="bank", timeline=[LINE], cause="a leak"),
    ]
    for one in kept:
        client.post("/v1/history", json=one.model_dump(mode="json"), headers=as_("iirp-incident"))

    def gateway(**_: Any) -> Gateway:
        made = Gateway("http://testserver", None, lambda: secret("iirp-reader"))
        made._session.get = lambda url, params, headers, **_: client.get(url, params=params, headers=headers)  # type: ignore[method-assign,assignment,misc]
        return made

    monkeypatch.setattr(cli.history, "gateway_from", gateway)
    return lambda *arguments: CliRunner().invoke(history, list(arguments))


def names(result: Result) -> list[str]:
    return [one["name"] for one in json.loads(result.output)]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((), ["new"]),
        (("--since", "90d"), ["new", "old"]),
        (("--since", "90d", "--limit", "1"), ["new"]),
        (("--since", "90d", "--target", "payments"), ["old"]),
        (("--since", "90d", "--state", "Resolved"), ["old"]),
        (("--namespace", "else"), []),
    ],
)
def test_incidents_are_listed_newest_first(run, arguments: tuple[str, ...], found: list[str]) -> None:
    assert names(run("incidents", *arguments, "-o", "json")) == found


def test_people_get_a_table(run) -> None:
    head, *rows = run("incidents", "--since", "90d").output.splitlines()
    assert head.split() == ["BEGAN", "NAMESPACE", "NAME", "STATE", "SEV", "TYPE", "VERDICT", "CAUSE"]
    assert "Effective" in rows[1]
    assert run("incidents", "-n", "else").output.startswith("no incidents began since ")


def test_a_story_has_its_timeline_and_no_control_characters(run) -> None:
    shown = run("show", "new", "-n", "shop").output
    assert "cause: a leak" in shown
    assert r"said \x1b[31mred" in shown
    assert json.loads(run("show", "new", "-n", "shop", "-o", "json").output)["timeline"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("show", "none", "-n", "shop"), 1, "The history has no such incident: shop/none"),
        (("incidents", "--since", "yesterday"), 2, "neither a duration"),
        (("changes",), 2, "--namespace"),
    ],
)
def test_what_is_wrong_is_said(run, arguments: tuple[str, ...], code: int, words: str) -> None:
    result = run(*arguments)
    assert result.exit_code == code
    assert words in result.output


def test_changes_are_listed(run) -> None:
    assert run("changes", "-n", "shop").output.startswith("no change of shop was brought up since ")

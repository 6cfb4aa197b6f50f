"""`iirp predictions`: one line per prediction, and the share of those that are decided."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from cli.predictions import predictions
from tests.unit.crds.test_predictions import made


def test_the_share_leaves_out_what_nobody_can_know(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [made(harm="2026-01-01T10:24:00Z"), made(active=False), made(verdict="Effective"), made(predicted=False)]
    monkeypatch.setattr("cli.incidents.read", lambda *_: (found, {}))
    text = CliRunner().invoke(predictions, []).output
    assert "CameTrue   expected 2026-01-01 10:25:00  -60 s from the estimate" in text
    assert "3 predictions; 1 of 2 came true" in text
    told = json.loads(CliRunner().invoke(predictions, ["-o", "json"]).output)
    assert (told["share"], told["decided"], len(told["predictions"])) == (0.5, 2, 3)

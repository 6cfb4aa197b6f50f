"""The composition root: usage, settings, and what keeps it from starting."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from controllers.__main__ import NAMES, main


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.mark.parametrize("arguments", [[], ["nobody"], ["incident", "rca"]])
def test_wrong_usage_exits_2_with_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert all(name in error for name in NAMES)


def test_a_wrong_setting_exits_2_and_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IIRP_WORKERS", "many")
    assert main(["incident"]) == 2
    assert "IIRP_WORKERS" in capsys.readouterr().err


def test_without_credentials_it_says_so_in_one_json_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", f"{tmp_path}/none")
    assert main(["incident"]) == 1
    line = json.loads(capsys.readouterr().err.strip().splitlines()[-1])
    assert line["reason"] == "NoCredentials"
    assert "KUBECONFIG" in line["message"]

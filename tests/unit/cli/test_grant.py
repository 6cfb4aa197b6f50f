"""`iirp grant` prints what opts a namespace in."""

from __future__ import annotations

import json

import pytest
import yaml
from click.testing import CliRunner

from cli.grant import grant
from rbac.grant import namespace_bindings


def test_prints_yaml_for_each_namespace() -> None:
    result = CliRunner().invoke(grant, ["shop", "pay", "--platform-namespace", "platform"])
    assert result.exit_code == 0
    wanted = [*namespace_bindings("shop", "platform"), *namespace_bindings("pay", "platform")]
    assert list(yaml.safe_load_all(result.output)) == wanted


def test_prints_one_list_as_json() -> None:
    result = CliRunner().invoke(grant, ["shop", "shop", "-o", "json"])
    assert json.loads(result.output)["items"] == namespace_bindings("shop")


def test_prints_only_what_the_wanted_actions_need() -> None:
    result = CliRunner().invoke(grant, ["shop", "--actions", "Rollback, RestartPod"])
    names = {item["roleRef"]["name"] for item in yaml.safe_load_all(result.output)}
    assert "iirp-execution-pods" in names
    assert "iirp-execution-stateful" not in names


def test_an_unknown_action_is_named_with_those_that_there_are() -> None:
    result = CliRunner().invoke(grant, ["shop", "--actions", "Reboot"])
    assert result.exit_code == 2
    assert "Reboot: no such type of action; known are RestartDeployment" in result.output


@pytest.mark.parametrize(
    "arguments", [[], ["Shop"], ["shop;id"], ["x" * 64], ["shop", "--platform-namespace", "x_y"], ["-shop"]]
)
def test_bad_arguments_exit_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(grant, arguments).exit_code == 2

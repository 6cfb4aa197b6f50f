"""`iirp grant` prints what opts a namespace in."""

from __future__ import annotations

import json

import pytest
import yaml
from click.testing import CliRunner

from cli.grant import grant
from rbac.grant import namespace_bindings


def test_prints_yaml_for_each_namespace() -> None:
    result = CliRunner().invoke(grant, ["shop", "pay", "-n", "platform"])
    assert result.exit_code == 0
    wanted = [*namespace_bindings("shop", "platform"), *namespace_bindings("pay", "platform")]
    assert list(yaml.safe_load_all(result.output)) == wanted


def test_prints_one_list_as_json() -> None:
    result = CliRunner().invoke(grant, ["shop", "shop", "-o", "json"])
    assert json.loads(result.output)["items"] == namespace_bindings("shop")


@pytest.mark.parametrize("arguments", [[], ["Shop"], ["shop;id"], ["x" * 64], ["shop", "-n", "no_good"], ["-shop"]])
def test_bad_arguments_exit_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(grant, arguments).exit_code == 2

"""Every block of YAML on a page is what its reader would accept: values, policies, rules, scenarios, settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
import yaml

from analysis.config import Config
from analysis.detect.rulebook import RuleFile
from controllers.policy.casefile import CaseFile
from controllers.policy.validity import read_policy
from demo.scenario.model import Scenario
from external import settings as external_settings
from notifications.settings import Settings as NotifierSettings
from tests.unit.docs.pages import ROOT, Block, yaml_blocks
from tests.unit.integrations.support import PLURALS, crd

CHART = ROOT / "charts/iirp"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
ANALYSIS = {"prometheus": {"url": "http://127.0.0.1:9090"}, "loki": {"url": "http://127.0.0.1:3100"}}
CALLER = {"username": "system:serviceaccount:iirp-system:iirp-rca", "secretFile": "/run/token"}
FOREIGN = {"receivers"}
"""Top-level keys of other people's files."""


def title(block: Block) -> str:
    """Where it stands."""
    return f"{block.page.relative_to(ROOT).as_posix()}:{block.line}"


@pytest.mark.parametrize("block", yaml_blocks(), ids=title)
def test_a_block_is_accepted(block: Block) -> None:
    for document in yaml.safe_load_all(block.text):
        readers = [reader for reader in READERS if reader(set(document))]
        assert readers or set(document) <= FOREIGN, f"nothing of ours reads {sorted(document)}"
        for reader in readers:
            READERS[reader](document)


def custom_resource(document: dict[str, Any]) -> None:
    """By the schema that the API server holds it to."""
    (definition,) = (made for made in map(crd, PLURALS) if made["spec"]["names"]["kind"] == document["kind"])
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    jsonschema.validate(document, {key: value for key, value in schema.items() if not key.startswith("x-")})
    if document["kind"] == "ActionPolicy":
        assert read_policy(document, as_written=True).problems == ()


def chart_values(document: dict[str, Any]) -> None:
    """Merged over the defaults, as Helm does before it validates."""
    jsonschema.validate(merged(VALUES, document), json.loads((CHART / "values.schema.json").read_text()))
    if "notifications" in document:
        notifier_config(document["notifications"]["config"])


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Maps key by key, everything else replaced."""
    both = {key: merged(below[key], above[key]) for key in above if isinstance(below.get(key), dict) and above[key]}
    return {**below, **above, **both}


def analysis_config(document: dict[str, Any]) -> None:
    """With the keys that every configuration needs."""
    Config.model_validate({**ANALYSIS, "auth": {"static": [CALLER]}, **document})


def notifier_config(document: dict[str, Any]) -> None:
    """With the key that every configuration needs."""
    NotifierSettings.model_validate({"routes": [], **document})


READERS: dict[Callable[[set[str]], bool], Callable[[dict[str, Any]], Any]] = {
    lambda keys: {"apiVersion", "kind"} <= keys: custom_resource,
    lambda keys: bool(keys) and keys <= set(VALUES): chart_values,
    lambda keys: keys <= {"rules", "overrides"}: RuleFile.model_validate,
    lambda keys: "channels" in keys: notifier_config,
    lambda keys: "tests" in keys: CaseFile.model_validate,
    lambda keys: "steps" in keys: Scenario.model_validate,
    lambda keys: "objectStore" in keys: lambda document: external_settings.load(yaml.safe_dump(document)),
    lambda keys: bool(keys & {"listen", "auth", "model", "stateDir", "web", "history", "baselines"}): analysis_config,
}

"""The values: wrong ones are named, the defaults are valid, and CRDs outlive the release."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import yaml

from tests.unit.charts.helm import CHART, EXTERNAL, named, render, run


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"external": {"url": ""}}, "external.url is required"),
        ({"external": {"url": "http://plain"}}, "url"),
        ({"external": EXTERNAL, "execution": {"namespaces": ["Not_A_Namespace"]}}, "namespaces"),
        ({"external": EXTERNAL, "exekution": {}}, "exekution"),
        ({"external": EXTERNAL, "settings": {"logLevel": "loud"}}, "logLevel"),
    ],
)
def test_wrong_values_are_named(values: dict[str, Any], message: str) -> None:
    done = run(values)
    assert done.returncode != 0
    assert message in done.stderr


def test_default_values_fit_their_schema() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    jsonschema.validate(yaml.safe_load((CHART / "values.yaml").read_text()), schema)


def test_crds_are_kept_and_optional() -> None:
    definitions = named(render(), "CustomResourceDefinition")
    assert len(definitions) == 5
    for body in definitions.values():
        annotations = body["metadata"]["annotations"]
        assert annotations["helm.sh/resource-policy"] == "keep"
        assert annotations["argocd.argoproj.io/sync-options"] == "Prune=false,Delete=false"
    assert not named(render(crds={"install": False}), "CustomResourceDefinition")

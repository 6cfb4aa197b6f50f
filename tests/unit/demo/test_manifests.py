"""The shop's manifests say what the rest of the demo relies on."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from demo.driver.shop import manifests, moved, with_image
from demo.shop.config import SERVICES
from images.layers import project_root

Wire = dict[str, Any]


def deployments() -> list[Wire]:
    return [entry for entry in manifests() if entry["kind"] == "Deployment"]


def test_the_namespace_comes_first_and_everything_else_lives_in_it() -> None:
    objects = manifests()
    assert (objects[0]["kind"], objects[0]["metadata"]["name"]) == ("Namespace", "shop")
    assert {entry["metadata"]["namespace"] for entry in objects[1:]} == {"shop"}


def test_there_is_a_deployment_for_each_service_and_a_service_for_each_but_the_load() -> None:
    assert {entry["metadata"]["name"] for entry in deployments()} == set(SERVICES)
    services = {entry["metadata"]["name"] for entry in manifests() if entry["kind"] == "Service"}
    assert services == set(SERVICES) - {"load"}


@pytest.mark.parametrize("deployment", deployments(), ids=lambda entry: str(entry["metadata"]["name"]))
def test_pods_are_restricted_limited_probed_and_scraped(deployment: Wire) -> None:
    template = deployment["spec"]["template"]
    pod, container = template["spec"], template["spec"]["containers"][0]
    assert container["args"] == [deployment["metadata"]["name"]]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]["limits"]) == {"cpu", "memory"}
    assert "readinessProbe" in container
    ports = {str(port["containerPort"]) for port in container["ports"]}
    assert template["metadata"]["annotations"]["prometheus.io/port"] in ports


def test_the_image_becomes_the_one_that_was_built_everywhere() -> None:
    changed = with_image(manifests(), "localhost/iirp/shop:abc")
    images = {
        container["image"]
        for entry in changed
        if entry["kind"] == "Deployment"
        for container in entry["spec"]["template"]["spec"]["containers"]
    }
    assert images == {"localhost/iirp/shop:abc"}


def test_the_demo_opens_only_the_shop_to_the_executor() -> None:
    values = yaml.safe_load((project_root() / "demo/values.yaml").read_text())
    assert values["execution"]["namespaces"] == ["shop"]
    assert values["watchNamespaces"] == [], "scenarios make namespaces of their own"


def test_moved_objects_keep_nothing_of_the_old_namespace() -> None:
    for entry in moved(manifests(), "elsewhere"):
        where = entry["metadata"]["name" if entry["kind"] == "Namespace" else "namespace"]
        assert where == "elsewhere"
    assert manifests()[0]["metadata"]["name"] == "shop", "the originals stay as they are"

"""The chart against a real API server: every manifest is taken, the release's own test passes, pods are restricted."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest
import yaml

from demo.platform import RELEASE, Platform
from devcluster.toolchain import Toolchain
from images.layers import project_root
from tests.e2e.conftest import SYSTEM
from tests.e2e.support import Cluster

CHART = project_root() / "charts" / "iirp"
INSTALL = project_root() / "docs" / "how-to" / "install.md"
EXAMPLE = yaml.safe_load((project_root() / "notifications" / "example.yaml").read_text())
NAMED = ("shop", "payments")
UNRESTRICTED = {"iirp-node-exporter", "iirp-otel-collector"}
"""They read the node."""


def production() -> str:
    """The values that the docs recommend; what needs kinds of the Prometheus operator is left out."""
    (found,) = re.findall(r"```yaml\n(# production\.yaml.*?)```", INSTALL.read_text(), re.DOTALL)
    values = yaml.safe_load(found)
    del values["monitoring"]
    return str(yaml.safe_dump(values))


def helm(platform: Platform, *arguments: str, values: str = "") -> str:
    """Run helm against the cluster; it must succeed."""
    program = str(Toolchain().ensure("helm"))
    done = subprocess.run(
        [program, f"--kubeconfig={platform.kubeconfig}", f"--namespace={SYSTEM}", *arguments],
        input=values, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


VARIANTS = {
    "defaults": "",
    "production": production(),
    "agents": "mcp: {read: {enabled: true}, execute: {enabled: true}}",
    "webhook": "admission: {mode: webhook}",
    "analysis": "analysis: {enabled: true, config: {prometheus: {url: http://a:9090}, loki: {url: http://a:3100}}}",
    "notifications": str(yaml.safe_dump({"notifications": {"enabled": True, "config": EXAMPLE}})),
}


@pytest.fixture(scope="module")
def named(cluster: Cluster) -> Iterator[None]:
    """The namespaces that the docs' values name; one that was not there goes again."""
    new = [name for name in NAMED if cluster.get("namespace", name) is None]
    for name in new:
        cluster.ok("create", "namespace", name)
    yield
    for name in new:
        cluster.ok("delete", "namespace", name, "--wait=false")


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_api_server_takes_every_manifest(cluster: Cluster, platform: Platform, variant: str) -> None:
    live = helm(platform, "get", "values", RELEASE, "-o", "yaml")  # images and the external side of this cluster
    both = {**yaml.safe_load(live), **(yaml.safe_load(VARIANTS[variant]) or {})}
    values = str(yaml.safe_dump(both))
    manifests = helm(platform, "template", RELEASE, str(CHART), "--no-hooks", "-f", "-", values=values)
    told = cluster.ok("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-", stdin=manifests)
    assert len(told.splitlines()) == len([one for one in yaml.safe_load_all(manifests) if one])


def test_helm_test_says_what_is_at_work(platform: Platform) -> None:
    told = helm(platform, "test", RELEASE, "--logs", "--timeout", "3m")
    assert "Phase:          Succeeded" in told


def test_pods_are_restricted_but_those_that_read_the_node(cluster: Cluster) -> None:
    label = "pod-security.kubernetes.io/enforce=restricted"
    done = cluster.kubectl("label", "namespace", SYSTEM, label, "--overwrite", "--dry-run=server")
    assert done.returncode == 0, done.stderr
    named = set(re.findall(r"^Warning: ([a-z0-9-]+)-[a-z0-9]{5}(?::| \(and )", done.stderr, re.MULTILINE))
    assert named <= UNRESTRICTED, done.stderr

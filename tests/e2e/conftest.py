"""One cluster, one telemetry plane and one release for the whole run; a namespace per test.

``IIRP_E2E_CLUSTER=NAME`` uses (or makes) the cluster of that name and keeps it: a second run starts in seconds.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.platform import Platform, down, up
from rbac.grant import namespace_bindings
from tests.e2e.executor import Run, executor_of
from tests.e2e.support import Cluster, eventually

SYSTEM = "iirp-system"
VALUES = Path(__file__).with_name("values.yaml")


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """Cluster, external side, images and the installed release."""
    kept = os.environ.get("IIRP_E2E_CLUSTER")
    name = kept or "e2e"
    yield up(name, values=(VALUES,))
    if not kept:
        down(name)


@pytest.fixture(scope="session")
def cluster(platform: Platform) -> Cluster:
    """The cluster as its administrator."""
    return Cluster(platform.name, platform.kubeconfig)


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own, opted in to execution; deleted afterwards, and the deletion must not hang."""
    slug = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:40]
    name = f"e2e-{slug}-{uuid.uuid4().hex[:5]}"
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    cluster.apply(*namespace_bindings(name, SYSTEM))
    yield name
    cluster.ok("delete", "namespace", name, "--wait=false", "--ignore-not-found")


@pytest.fixture
def policy(cluster: Cluster, namespace: str, request: pytest.FixtureRequest) -> Iterator[Callable[..., str]]:
    """Writes an ActionPolicy for this test's namespace only; removed afterwards."""
    made: list[str] = []

    def write(**rule: Any) -> str:
        name = f"{namespace}-{len(made)}"
        body = {"name": "test", "match": {"namespaces": [namespace]}, "tier": "HumanApproval", **rule}
        cluster.apply(
            {
                "apiVersion": "iirp.io/v1alpha1",
                "kind": "ActionPolicy",
                "metadata": {"name": name},
                "spec": {"rules": [body]},
            }
        )
        made.append(name)
        eventually(
            lambda: (cluster.get("actionpolicy", name) or {}).get("status", {}).get("valid"),
            within=30,
            what=f"policy {name} to be valid",
        )
        return name

    yield write
    for name in made:
        cluster.ok("delete", "actionpolicy", name, "--wait=false", "--ignore-not-found")


@pytest.fixture(scope="module")
def executor_token(cluster: Cluster) -> str:
    """As the kubelet gives it to the executor's pod."""
    return cluster.ok("create", "token", "iirp-execution", "-n", SYSTEM, "--duration=1h").strip()


@pytest.fixture
def executor(cluster: Cluster, namespace: str, executor_token: str) -> Run:
    """kubectl with the executor's token, in an opted-in namespace with one Deployment ``web``."""
    return executor_of(cluster, namespace, executor_token)

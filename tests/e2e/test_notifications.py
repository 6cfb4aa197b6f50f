"""The chart's notifier as a pod: it sees an incident, tells a receiver over the network, and can do nothing else."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator

import pytest
import yaml

from demo.platform import Platform
from devcluster.toolchain import Toolchain
from images.build import Builder
from images.catalogue import IMAGES
from images.layers import project_root
from notifications.channels import signature
from tests.e2e.story import Story
from tests.e2e.support import Cluster, eventually
from tests.unit.notifications.support import Receiver, http

CHART = project_root() / "charts" / "iirp"
SECRET = "s3cret"
TEMPLATES = ("notifications", "rbac/notifications")


@pytest.fixture
def receiver(platform: Platform) -> Iterator[Receiver]:
    """On this machine, where pods reach it."""
    address = platform.provider.status().host_address
    assert address
    with http(address) as found:
        yield found


@pytest.fixture
def notifier(cluster: Cluster, platform: Platform, namespace: str, receiver: Receiver) -> Iterator[str]:
    """Its ServiceAccount, in a namespace of its own that is all it watches."""
    image = Builder().build(IMAGES["notifications"])
    platform.provider.load_images([image.archive])
    hook = {"type": "webhook", "url": receiver.url, "secret_file": "/etc/iirp/notifications/hook"}
    values = {
        "external": {"url": "https://unused.example.com"},
        "watchNamespaces": [namespace],
        "notifications": {
            "enabled": True,
            "image": {"repository": image.repository, "tag": image.tag},
            "secrets": ["hook"],
            "config": {"channels": {"hook": hook}, "routes": [{"channels": ["hook"]}], "poll_seconds": 1},
        },
    }
    shown = [f"--show-only=templates/{name}.yaml" for name in TEMPLATES]
    helm = str(Toolchain().ensure("helm"))
    done = subprocess.run(
        [helm, "template", "iirp", str(CHART), f"--namespace={namespace}", "-f", "-", *shown],
        input=yaml.safe_dump(values), capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    cluster.ok("create", "secret", "generic", "hook", "-n", namespace, f"--from-literal=hook={SECRET}")
    cluster.apply(*(body for body in yaml.safe_load_all(done.stdout) if body))
    cluster.ok("rollout", "status", "deployment/iirp-notifications", "-n", namespace, "--timeout=120s", timeout=140)
    yield f"system:serviceaccount:{namespace}:iirp-notifications"
    cluster.ok("delete", "clusterrole", "iirp-notifications", "--ignore-not-found")


def test_its_pod_tells_what_happens_and_asks_for_the_decision(
    cluster: Cluster, platform: Platform, namespace: str, policy: Callable[..., str], notifier: str, receiver: Receiver
) -> None:
    policy()
    story = Story(cluster, namespace, platform.images["shop"].reference).begin()
    plan = story.plan()
    eventually(lambda: len(receiver.requests) >= 2, within=60, what="two notifications")
    told = [json.loads(body) for _, body in receiver.requests]
    assert [one["event"] for one in told] == ["opened", "decision"]
    assert told[1]["approval"] == plan
    for headers, body in receiver.requests:
        assert (
            headers["X-IIRP-Signature"]
            == (signature(SECRET, body, int(headers["X-IIRP-Timestamp"]))["X-IIRP-Signature"])
        )
    for verb, resource, may in (
        ("list", "incidents.iirp.io", "yes"),
        ("patch", "incidents.iirp.io", "no"),
        ("list", "approvals.iirp.io", "no"),
        ("approve", "approvals.iirp.io", "no"),
        ("get", "secrets", "no"),
    ):
        assert cluster.kubectl("auth", "can-i", verb, resource, "-n", namespace, as_user=notifier).stdout.strip() == may

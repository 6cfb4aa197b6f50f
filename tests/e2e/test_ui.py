"""`iirp ui` leads a browser to the page: of the external side, and of an analysis server in the cluster."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
import yaml
from playwright.sync_api import Browser, expect, sync_playwright

from demo.platform import Platform
from devcluster.toolchain import Toolchain
from images.build import Builder
from images.catalogue import IMAGES
from images.layers import project_root
from tests.e2e.browser import TIMEOUT_MS, People, Site, browser
from tests.e2e.conftest import SYSTEM
from tests.e2e.story import Story
from tests.e2e.support import Cluster, eventually

CHART = project_root() / "charts" / "iirp"
CONTROLLERS = ("approval", "detection", "execution", "feedback", "incident", "policy")
READY_SECONDS = 180.0
expect.set_options(timeout=TIMEOUT_MS)


@pytest.fixture(scope="module")
def started(platform: Platform) -> Iterator[Browser]:
    """One browser for all tests of this file."""
    with sync_playwright() as playwright, browser(playwright, platform.state_dir / "chromium.log") as found:
        yield found


@contextmanager
def opened(started: Browser, kubeconfig: Path, namespace: str, *arguments: str) -> Iterator[Site]:
    """A browser at the address that the command prints; no certificate is forgiven."""
    words = ["ui", f"--kubeconfig={kubeconfig}", f"--platform-namespace={namespace}", "--no-open", *arguments]
    command = [sys.executable, "-u", "-m", "cli.main", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stderr
            line = process.stdout.readline()
            assert line.startswith("http://localhost:"), process.stderr.read()
            page = started.new_context().new_page()
            page.set_default_timeout(TIMEOUT_MS)
            yield Site(page, line.split()[0])
            page.context.close()
        finally:
            process.terminate()


def sign_in(someone: Site, token: str) -> None:
    """Where the address leads first."""
    someone.page.goto(someone.url)
    someone.page.get_by_label("Token").fill(token)
    someone.page.get_by_role("button", name="Sign in").click()


def test_the_external_sides_page(cluster: Cluster, platform: Platform, namespace: str, started: Browser) -> None:
    story = Story(cluster, namespace, platform.images["shop"].reference).begin()
    token = People(cluster, namespace).token("alice", "iirp-viewer")
    with opened(started, platform.kubeconfig, SYSTEM, story.name, "-n", namespace) as alice:
        sign_in(alice, token)
        expect(alice.page.get_by_role("heading", level=1)).to_contain_text("Declared")
        assert alice.page.url == alice.url, "the sign-in leads to the incident that was asked for"


@pytest.fixture
def inside(cluster: Cluster, platform: Platform, namespace: str) -> str:
    """A namespace with an analysis server and the Deployment of a controller that would use it."""
    image = Builder().build(IMAGES["analysis"])
    platform.provider.load_images([image.archive])
    nowhere = {"url": "http://127.0.0.1:9"}
    values = {
        "image": {"repository": platform.images["controllers"].repository, "tag": platform.images["controllers"].tag},
        "analysis": {
            "enabled": True,
            "image": {"repository": image.repository, "tag": image.tag},
            "config": {"prometheus": nowhere, "loki": nowhere},
        },
        "controllers": {name: {"enabled": False} for name in CONTROLLERS},
        "telemetry": {"enabled": False},
    }
    shown = [f"--show-only=templates/{name}.yaml" for name in ("analysis", "controllers")]
    helm = str(Toolchain().ensure("helm"))
    done = subprocess.run(
        [helm, "template", "iirp", str(CHART), f"--namespace={namespace}", "-f", "-", *shown],
        input=yaml.safe_dump(values), capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    metadata = {"name": "iirp-analysis", "namespace": namespace}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    cluster.apply(account, *(body for body in yaml.safe_load_all(done.stdout) if body))
    cluster.ok("rollout", "status", "deployment/iirp-analysis", "-n", namespace, "--timeout=180s", timeout=200)
    return namespace


def test_the_page_in_the_cluster_through_a_port_forward(
    cluster: Cluster, platform: Platform, inside: str, started: Browser
) -> None:
    token = People(cluster, inside).token("alice", "iirp-viewer")
    with opened(started, platform.kubeconfig, inside) as alice:
        sign_in(alice, token)
        alice.open(f"/?namespace={inside}")
        expect(alice.page.get_by_text("That is good news")).to_be_visible()

        cluster.ok("delete", "pod", "-n", inside, "-l", "app.kubernetes.io/name=iirp-analysis", timeout=120)
        eventually(lambda: answers(alice.url), within=READY_SECONDS, what="the page of the new pod")
        alice.open("/login")
        expect(alice.page.get_by_label("Token")).to_be_visible()


def answers(url: str) -> bool:
    """Whether the page is there."""
    try:
        return requests.get(f"{url}/login", timeout=20).status_code == 200
    except requests.ConnectionError:
        return False

"""The pictures of the docs, of a real leak in a real browser: ``make docs-pictures``. Not part of ``make e2e``."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from demo.platform import Platform
from rbac.grant import namespace_bindings
from tests.e2e.browser import TIMEOUT_MS, People, Site, browser, site
from tests.e2e.conftest import SYSTEM
from tests.e2e.story import Story
from tests.e2e.support import Cluster, eventually

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"
TEAM = "webshop"
WIDE, PHONE = (1100, 760), (390, 760)
SOON = 300_000
"""Milliseconds: a rollout and its verification."""
expect.set_options(timeout=TIMEOUT_MS)


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A name that pictures can show."""
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM}})
    cluster.apply(*namespace_bindings(TEAM, SYSTEM))
    binding = ("clusterrolebinding", "pictures")
    cluster.ok("delete", *binding, "--ignore-not-found")
    cluster.ok("create", *binding, "--clusterrole=iirp-viewer", f"--serviceaccount={TEAM}:alice")
    yield TEAM
    cluster.ok("delete", *binding)
    cluster.ok("delete", "namespace", TEAM, "--wait=false")


@dataclass(frozen=True)
class Camera:
    """Takes what one person sees as WebP: small, and clear enough for text."""

    site: Site

    def take(self, name: str, path: str = "", size: tuple[int, int] = WIDE) -> None:
        """Go there (or stay) and write ``docs/pictures/NAME.webp``."""
        page = self.site.page
        page.set_viewport_size({"width": size[0], "height": size[1]})
        if path:
            self.site.open(path)
        self.site.accessible()
        shot = page.context.new_cdp_session(page).send("Page.captureScreenshot", {"format": "webp", "quality": 60})
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{name}.webp").write_bytes(base64.b64decode(shot["data"]))


@pytest.fixture
def story(cluster: Cluster, namespace: str, platform: Platform) -> Story:
    """Two services of which one leaks, and the incident about it, which waits for a decision."""
    made = Story(cluster, namespace, platform.images["shop"].reference, name="payments")
    made.deploy("payments", "catalogue", memory_mib=192)
    made.leak("payments", mib_per_second=0.5)
    return made


@pytest.fixture
def started(platform: Platform) -> Iterator[Browser]:
    """One browser."""
    with sync_playwright() as playwright, browser(playwright, platform.state_dir / "chromium.log") as found:
        yield found


def test_pictures(
    started: Browser, platform: Platform, cluster: Cluster, story: Story, policy: Callable[..., str]
) -> None:
    policy()
    people = People(cluster, story.namespace)
    alice = Camera(site(started, platform, people.token("alice", "iirp-approver", "view")))
    oscar = Camera(site(started, platform, people.token("oscar", "edit")))
    opened = eventually(lambda: cluster.list("incidents", story.namespace), within=240, what="an incident")[0]
    name = opened["metadata"]["name"]
    cluster.wait_state("incident", name, story.namespace, ["AwaitingApproval"], within=90)
    incident, plan = f"/incidents/{story.namespace}/{name}", f"{name}-1"

    alice.take("incidents", f"/?namespace={story.namespace}")
    alice.take("incident", incident, (1100, 1500))
    oscar.take("decide", f"{incident}/decide/{plan}", (1100, 1300))
    oscar.site.open(f"{incident}/modify/{plan}")
    oscar.site.page.get_by_label("Action").select_option("ScaleDeployment")
    oscar.site.page.get_by_label("Replicas").fill("2")
    oscar.site.page.get_by_role("button", name="Show what it would change").click()
    oscar.take("modify", size=(1100, 1100))
    alice.site.page.emulate_media(color_scheme="dark")
    alice.take("phone", f"{incident}/decide/{plan}", PHONE)
    alice.site.page.emulate_media(color_scheme="light")
    alice.site.page.get_by_label("Why").fill("matches what we saw in staging")
    alice.site.page.get_by_role("button", name="Approve as").click()
    expect(alice.site.page.get_by_text("Resolved").first).to_be_visible(timeout=SOON)
    alice.take("resolved", incident, (1100, 1300))
    alice.take("audit", f"/audit?namespace={story.namespace}")
    alice.take("autonomy", f"/autonomy?namespace={story.namespace}")
    alice.take("policies", "/policies")

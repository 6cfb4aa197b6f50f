"""A real browser (Debian's Chromium, driven by Playwright) and people who sign in with their own Kubernetes tokens."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Playwright

from demo.platform import Platform
from devcluster.debian import Need, ensure, find
from devcluster.errors import ClusterError
from tests.e2e.support import Cluster

CHROMIUM = "chromium"
TIMEOUT_MS = 20_000


def chromium(log: Path) -> str:
    """Path of Chromium; installed from Debian where this user may, else the test is skipped with the command to run."""
    try:
        ensure([Need(CHROMIUM, CHROMIUM)], lambda line: sys.stderr.write(line + "\n"), log)
    except ClusterError as error:
        pytest.skip(f"no browser: {error}")
    path = find(CHROMIUM)
    assert path
    return path


@contextmanager
def browser(playwright: Playwright, log: Path) -> Iterator[Browser]:
    """Headless; no sandbox, because tests run as root."""
    started = playwright.chromium.launch(executable_path=chromium(log), args=["--no-sandbox"])
    yield started
    started.close()


@dataclass(frozen=True)
class People:
    """ServiceAccounts of one namespace as people: a token is a token."""

    cluster: Cluster
    namespace: str

    def token(self, name: str, *roles: str) -> str:
        """Create the account once, bind ClusterRoles to it here, and return a token."""
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": name, "namespace": self.namespace},
        }
        self.cluster.apply(account, *(self._binding(name, role) for role in roles))
        return self.cluster.ok("create", "token", name, "-n", self.namespace, "--duration=1h").strip()

    def username(self, name: str) -> str:
        """As the API server says it."""
        return f"system:serviceaccount:{self.namespace}:{name}"

    def _binding(self, name: str, role: str) -> dict[str, Any]:
        group = "rbac.authorization.k8s.io"
        return {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": f"{name}-{role}", "namespace": self.namespace},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": self.namespace}],
        }


@dataclass(frozen=True)
class Site:
    """The page behind the gateway, as one person sees it in one browser."""

    page: Page
    url: str

    def sign_in(self, token: str) -> None:
        """Through the form, as people do."""
        self.page.goto(f"{self.url}/login")
        self.page.get_by_label("Token").fill(token)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(lambda address: "/login" not in address)

    def open(self, path: str) -> None:
        """Go to an address of the site."""
        self.page.goto(self.url + path)

    def accessible(self) -> None:
        """No serious or critical violation that axe can find."""
        found = Axe().run(self.page).response["violations"]
        bad = [(one["id"], one["help"]) for one in found if one["impact"] in {"serious", "critical"}]
        assert not bad, f"{self.page.url}: {bad}"


def site(started: Browser, platform: Platform, token: str = "") -> Site:
    """A browser profile of its own; with a token, signed in. Its certificate is the development CA's."""
    context = started.new_context(ignore_https_errors=True)
    context.set_default_timeout(TIMEOUT_MS)
    found = Site(context.new_page(), platform.local_url.rstrip("/"))
    if token:
        found.sign_in(token)
    return found

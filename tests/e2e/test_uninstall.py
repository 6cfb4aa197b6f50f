"""Taking the platform away: it goes at once, what it recorded stays, and nothing hangs afterwards."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from demo.platform import RELEASE, Platform, up
from devcluster.toolchain import Toolchain
from tests.e2e.conftest import SYSTEM, VALUES
from tests.e2e.story import Story
from tests.e2e.support import Cluster

Policy = Callable[..., str]


def test_helm_uninstall_does_not_hang_and_the_record_stays(
    cluster: Cluster, namespace: str, policy: Policy, platform: Platform
) -> None:
    story = Story(cluster, namespace, platform.images["shop"].reference).begin()
    policy()
    plan = story.plan()
    story.state("approval", plan, "Pending")
    helm = [str(Toolchain().ensure("helm")), f"--kubeconfig={platform.kubeconfig}", f"--namespace={SYSTEM}"]
    try:
        done = subprocess.run(
            [*helm, "uninstall", RELEASE, "--wait", "--timeout=90s"],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert not cluster.list("deployments", SYSTEM)
        assert cluster.get("incident", story.name, namespace), "the CRDs and the record outlive the release"
        gone = cluster.kubectl("delete", "incident", story.name, "-n", namespace, "--timeout=60s", timeout=90)
        assert gone.returncode == 0, gone.stderr
        gone = cluster.kubectl("delete", "namespace", namespace, "--timeout=90s", timeout=120)
        assert gone.returncode == 0, gone.stderr
    finally:
        up(platform.name, values=(VALUES,))

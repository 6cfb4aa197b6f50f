"""Who holds the executor's token can do nothing but what an approval has granted, once (S1, S2, S5, S6, S10).

A real token, a real API server. Every request that is expected to fail must fail for a reason of ours, not by accident.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.executor import ID, MISSING_RIGHT, OTHER_ID, Run, executor_of, grant, restart, scale
from tests.e2e.executor_requests import OUTSIDE, SHAPE, TOO_MUCH
from tests.e2e.objects import SYSTEM, allowed_soon, deployment, must_create, resting, scratch_namespace
from tests.e2e.support import Cluster, eventually

POLICY = "ValidatingAdmissionPolicy 'iirp-executor'"


@pytest.fixture(scope="module", autouse=True)
def quiet(cluster: Cluster) -> Iterator[None]:
    """The approval controller would tidy away grants that no approval asks for."""
    with resting(cluster, "approval"):
        yield


@pytest.fixture(scope="module")
def thief(cluster: Cluster, executor_token: str) -> Iterator[tuple[str, Run]]:
    """The same for requests that must all be refused: one namespace, and a grant to restart ``web`` in it."""
    with scratch_namespace(cluster, "thief") as namespace:
        run = executor_of(cluster, namespace, executor_token)
        grant(cluster, namespace, f"restart.web.{ID}")
        dry = ("patch", "deployment", "web", "--type=merge", "-p", restart(), "--dry-run=server")
        allowed_soon(lambda: run(*dry), "the grant to be seen")
        yield namespace, run


def test_restart_needs_a_grant_that_spells_it(cluster: Cluster, namespace: str, executor: Run) -> None:
    patch = ("patch", "deployment", "web", "--type=merge", "-p")
    refused = executor(*patch, restart())
    assert POLICY in refused.stderr
    assert (
        f"the executor may not restart web: needs the grant restart.web.{ID} (verb perform on actions.iirp.io)"
        f" in namespace {namespace}" in refused.stderr
    )
    grant(cluster, namespace, f"restart.web.{ID}")
    allowed_soon(lambda: executor(*patch, restart()), "the granted restart")
    assert "again for the same action" in executor(*patch, restart(at="2026-01-01T00:00:09Z")).stderr
    assert "needs the grant" in executor(*patch, restart(OTHER_ID)).stderr
    assert executor(*patch, restart()).returncode == 0, "repeating it changes nothing"
    live = cluster.get("deployment", "web", namespace)
    assert live is not None
    assert live["metadata"]["generation"] == 2


def test_scale_is_bound_to_its_number(cluster: Cluster, namespace: str, executor: Run) -> None:
    patch = ("patch", "deployment", "web", "--type=merge", "-p")
    assert f"needs the grant scale.web.3.{ID}" in executor(*patch, scale(3)).stderr
    grant(cluster, namespace, f"scale.web.3.{ID}")
    allowed_soon(lambda: executor(*patch, scale(3), "--dry-run=server"), "the granted scale")
    assert f"needs the grant scale.web.4.{ID}" in executor(*patch, scale(4)).stderr
    assert "needs the grant" in executor(*patch, restart()).stderr, "a scale does not grant a restart"
    assert executor(*patch, scale(3)).returncode == 0
    cluster.ok("scale", "deployment/web", "--replicas=1", "-n", namespace)
    assert "again for the same action" in executor(*patch, scale(3)).stderr, "a person's later scale stands"


def test_grant_holds_for_its_deployment_its_namespace_and_its_time(
    cluster: Cluster, namespace: str, executor: Run
) -> None:
    must_create(cluster, deployment(namespace, "other"))
    grant(cluster, namespace, f"restart.web.{ID}")
    allowed_soon(
        lambda: executor("patch", "deployment", "web", "--type=merge", "-p", restart(), "--dry-run=server"), "the grant"
    )
    assert "restart.other" in executor("patch", "deployment", "other", "--type=merge", "-p", restart()).stderr
    cluster.ok("delete", "role,rolebinding", f"iirp-grant-{ID}", "-n", namespace)

    def refused_again() -> bool:
        done = executor("patch", "deployment", "web", "--type=merge", "-p", restart(), "--dry-run=server")
        return "needs the grant" in done.stderr

    eventually(refused_again, within=10, every=0.2, what="the withdrawn grant to be refused")


@pytest.mark.parametrize("where", ["platform", "workload"])
def test_emergency_stop_is_held_by_the_api_server(cluster: Cluster, namespace: str, executor: Run, where: str) -> None:
    grant(cluster, namespace, f"restart.web.{ID}")
    dry = ("patch", "deployment", "web", "--type=merge", "-p", restart(), "--dry-run=server")
    allowed_soon(lambda: executor(*dry), "the granted restart")
    stopped = SYSTEM if where == "platform" else namespace
    cluster.ok("annotate", "namespace", stopped, "iirp.io/emergency-stop=drill")
    try:
        eventually(
            lambda: "emergency stop: namespace " + stopped in executor(*dry).stderr,
            within=10,
            every=0.2,
            what="the stop",
        )
    finally:
        cluster.ok("annotate", "namespace", stopped, "iirp.io/emergency-stop-")
    allowed_soon(lambda: executor(*dry), "the restart after the stop is lifted")


@pytest.mark.parametrize("request_", list(SHAPE.values()), ids=list(SHAPE))
def test_deployment_keeps_its_shape_even_beside_a_grant(thief: tuple[str, Run], request_: tuple[str, ...]) -> None:
    _, run = thief
    done = run(*request_)
    assert done.returncode != 0, done.stdout
    assert POLICY in done.stderr
    assert "the executor may not change web but for spec.replicas, spec.paused, the restart annotations" in done.stderr


@pytest.mark.parametrize(("patch", "message"), list(TOO_MUCH.values()), ids=list(TOO_MUCH))
def test_a_grant_covers_nothing_but_its_action(thief: tuple[str, Run], patch: str, message: str) -> None:
    _, run = thief
    done = run("patch", "deployment", "web", "--type=merge", "-p", patch)
    assert POLICY in done.stderr
    assert message in done.stderr


def test_a_job_that_nobody_reviewed_is_refused(thief: tuple[str, Run]) -> None:
    """Its Role lets the executor create Jobs; which ones, admission decides (tests/safety/jobs.py has the rest)."""
    _, run = thief
    done = run("create", "job", "evil", "--image=example.invalid/evil:1")
    assert done.returncode != 0, done.stdout
    assert POLICY in done.stderr
    assert "from a reviewed template" in done.stderr


@pytest.mark.parametrize("request_", list(OUTSIDE.values()), ids=list(OUTSIDE))
def test_everything_else_is_forbidden(thief: tuple[str, Run], request_: tuple[str, ...]) -> None:
    namespace, run = thief
    done = run(*(part.replace("{ns}", namespace) for part in request_), stdin="{}")
    assert done.returncode != 0, done.stdout
    assert MISSING_RIGHT in done.stderr, done.stderr

"""``python -m tests.safety``: what a real API server refuses, as a matrix; exit 0 only when all is right."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import click

from tests.e2e.objects import SYSTEM, resting
from tests.e2e.support import Cluster
from tests.safety import decisions, forgeries, grants, jobs, platform, policies, targets, thief, world, writers
from tests.safety.api import Api, Who
from tests.safety.case import Case, Result, run
from tests.safety.matrix import document, table, wrong_ones

AREAS = ("executor", "approvals", "grants", "writers", "policies")
RESTING = ("incident", "rca", "policy", "approval")
"""Objects are written in their names, so they must not answer meanwhile."""


def requests(api: Api, stack: ExitStack, areas: tuple[str, ...]) -> Iterator[tuple[list[Case], tuple[str, ...]]]:
    """Cases with the namespaces in which they must change nothing. Each area prepares its own."""
    executor = Who("executor", token=api.token(SYSTEM, "iirp-execution"))
    if "executor" in areas:
        space = stack.enter_context(world.namespace(api, "thief"))
        world.workload(api, space)
        world.grant_in_force(api, space, executor)
        made = targets.make(api, space, executor)
        job = jobs.make(api, space, executor)
        cases = [*thief.cases(api, space, executor), *targets.cases(made, executor)]
        cases += jobs.cases(space, job, executor)
        yield [*cases, *thief.impersonation(space, executor.token)], (space,)
    if "approvals" in areas:
        space = stack.enter_context(world.namespace(api, "approvals"))
        elsewhere = stack.enter_context(world.namespace(api, "elsewhere"))
        decisions.prepare(api, space, elsewhere)
        entries = forgeries.record(api, space)
        cases = [*decisions.matrix(space), *decisions.states(space), *forgeries.forged(api, space, entries)]
        cases += [
            *forgeries.created(space, elsewhere, entries),
            *forgeries.frozen(space),
            *decisions.status_writes(space),
        ]
        yield cases, (space, elsewhere)
    if "grants" in areas:
        space = stack.enter_context(world.namespace(api, "grants"))
        world.workload(api, space)
        world.grant_in_force(api, space, executor)
        world.people(api, space)
        approval = Who("approval controller", token=api.token(SYSTEM, "iirp-approval"))
        yield list(grants.cases(space, approval, executor)), (space,)
    if "writers" in areas:
        space = stack.enter_context(world.namespace(api, "writers"))
        writers.prepare(api, space)
        stack.callback(writers.clean, api)
        yield list(writers.cases(space)), (space,)
    if "policies" in areas:
        yield list(policies.cases(api)), ()


def examine(cluster: Cluster, areas: tuple[str, ...]) -> tuple[list[Result], list[str]]:
    """All results, and what a request that must change nothing has changed."""
    api, results, changed = Api(cluster.kubeconfig), [], []
    with resting(cluster, *RESTING), ExitStack() as stack:
        for cases, spaces in requests(api, stack, areas):
            before = world.fingerprint(api, *spaces)
            results += run(api, cases)
            after = world.fingerprint(api, *spaces)
            changed += sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    return results, changed


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--cluster", "name", default="safety", show_default=True, help="Brought up when it is not there.")
@click.option("--keep/--down", default=None, help="Leave the cluster. Default: only one that was there before.")
@click.option("--area", "areas", multiple=True, type=click.Choice(AREAS), help="Only these; all by default.")
@click.option("--admission", type=click.Choice(["auto", "policy", "webhook"]), help="Install the release this way.")
@click.option("-o", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def main(name: str, keep: bool | None, areas: tuple[str, ...], admission: str | None, output: str) -> None:
    """Ask a real API server for everything that must be refused, and say who refused it."""
    there = platform.exists(name)
    started = time.monotonic()
    kubeconfig: Path = platform.up(name, admission or "")
    try:
        results, changed = examine(Cluster(name, kubeconfig), areas or AREAS)
    finally:
        if not (there if keep is None else keep):
            platform.down(name)
    wrong = wrong_ones(results) + [f"CHANGED {key} by a request that was to change nothing" for key in changed]
    if output == "json":
        click.echo(json.dumps(document(results) | {"changed": changed}, indent=2))
    else:
        click.echo(table(results))
        for line in wrong:
            click.echo(line)
        refused = sum(not result.case.allowed for result in results)
        click.echo(
            f"{len(results)} requests, {refused} of them forbidden; {len(wrong)} wrong;"
            f" {time.monotonic() - started:.0f} s"
        )
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

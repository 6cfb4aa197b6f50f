"""``python -m tests.safety.chaos``: every fault at every write of every action type; exit 0 if each happened once."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from devcluster.pki import Authority, Identity
from tests.e2e.objects import SYSTEM, resting
from tests.e2e.support import Cluster
from tests.safety import platform
from tests.safety.api import Api
from tests.safety.chaos.audit import AuditTail
from tests.safety.chaos.plans import KINDS, policy
from tests.safety.chaos.proxy import Fault
from tests.safety.chaos.runs import Bench, Disturbance, Outcome, run

NODE_AUDIT = "data/audit/audit.log"


def schedule(writes: dict[str, int], repeat: int, races: int, frozen: float) -> Iterator[Disturbance]:
    """``writes``: how many an undisturbed run makes, by action type. The long ones come first."""
    for name in writes:
        if frozen:
            yield Disturbance(KINDS[name], frozen=frozen)
    for name in writes:
        for _ in range(races):
            yield Disturbance(KINDS[name], racing=2)
    for _ in range(repeat):
        for name, count in writes.items():
            for at in range(1, count + 1):
                for fault in Fault:
                    yield Disturbance(KINDS[name], fault, at)


def execute(bench: Bench, disturbances: Sequence[Disturbance], parallel: int) -> list[Outcome]:
    """All runs, several at a time, each told as it ends."""
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(parallel) as pool:
        futures = {pool.submit(run, bench, item): item for item in disturbances}
        for future in as_completed(futures):
            item = futures[future]
            try:
                outcome = future.result()
            except Exception as error:  # a run that could not be set up proves nothing, so it is a problem
                outcome = Outcome(item, [f"{type(error).__name__}: {error}"])
            outcomes.append(outcome)
            mark = "ok " if not outcome.problems else "BAD"
            click.echo(
                f"{mark} {len(outcomes):4}/{len(disturbances)} {item.kind.name:8} {item.label:45} "
                f"{outcome.seconds:5.1f} s, {outcome.writes} writes, {outcome.starts} starts", err=True,
            )  # fmt: skip
            for problem in outcome.problems:
                click.echo(f"      {problem}", err=True)
    return outcomes


def summary(outcomes: Sequence[Outcome]) -> str:
    """A row per disturbance, a column per action type: runs, and those that were not exactly once."""
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        item = outcome.disturbance
        row = str(item.fault) if item.fault else item.label
        rows[row][item.kind.name] += 1
        rows[row]["wrong"] += bool(outcome.problems)
    heads = [*sorted({outcome.disturbance.kind.name for outcome in outcomes}), "wrong"]
    width = max(map(len, rows))
    lines = [f"{'':{width}}  " + "  ".join(f"{head:>8}" for head in heads)]
    lines += [f"{row:{width}}  " + "  ".join(f"{n[head] or '·':>8}" for head in heads) for row, n in rows.items()]
    return "\n".join(lines)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--cluster", "name", default="safety", show_default=True, help="An embedded one; brought up if missing.")
@click.option("--action", "actions", multiple=True, type=click.Choice(sorted(KINDS)), help="All by default.")
@click.option("--repeat", default=1, show_default=True, help="How often each fault is tried at each write.")
@click.option("--races", default=5, show_default=True, help="Runs with two executors, per action type.")
@click.option("--freeze", default=90.0, show_default=True, help="Seconds that an executor hangs; 0: none does.")
@click.option("--parallel", default=3, show_default=True, help="Runs at a time.")
@click.option("--limit", default=0, help="Only the first so many runs.")
@click.option("--report", type=click.Path(path_type=Path), help="Write all outcomes as JSON.")
def main(
    name: str, actions: tuple[str, ...], repeat: int, races: int, freeze: float, parallel: int, limit: int,
    report: Path | None,
) -> None:  # fmt: skip
    """Disturb the executor in every way at every write, and count in the audit log how often each action happened."""
    there, started = platform.exists(name), time.monotonic()
    kubeconfig = platform.up(name)
    try:
        outcomes = _all(Cluster(name, kubeconfig), actions or tuple(KINDS), repeat, races, freeze, parallel, limit)
    finally:
        if not there:
            platform.down(name)
    if report:
        report.write_text(json.dumps([_row(outcome) for outcome in outcomes], indent=2), encoding="utf-8")
    wrong = sum(bool(outcome.problems) for outcome in outcomes)
    click.echo(summary(outcomes))
    click.echo(
        f"{len(outcomes)} runs, {sum(o.starts for o in outcomes)} executor starts; {wrong} not exactly once; "
        f"{time.monotonic() - started:.0f} s"
    )
    sys.exit(1 if wrong else 0)


def _all(
    cluster: Cluster, actions: Sequence[str], repeat: int, races: int, frozen: float, parallel: int, limit: int
) -> list[Outcome]:
    audit = cluster.kubeconfig.parent / NODE_AUDIT
    if not audit.exists():
        raise click.ClickException(f"no audit log at {audit}: these runs need an embedded cluster (--cluster NEW_NAME)")
    api = Api(cluster.kubeconfig)
    with resting(cluster, "execution"), TemporaryDirectory() as folder:
        ca = Path(folder) / "ca.crt"
        ca.write_bytes(api.authority)
        authority = Authority(Path(folder) / "pki", "ca")
        certificate = authority.issue("proxy", Identity("proxy", hosts=("127.0.0.1",), client=False))
        token = api.token(SYSTEM, "iirp-execution", hours=12)
        bench = Bench(api, ca, authority.certificate, certificate, token, Path(folder), AuditTail(audit))
        policy(api)
        base = execute(bench, [Disturbance(KINDS[name]) for name in actions], parallel)
        if any(outcome.problems for outcome in base):
            return base
        writes = {outcome.disturbance.kind.name: outcome.writes for outcome in base}
        planned = list(schedule(writes, repeat, races, frozen))
        return base + execute(bench, planned[: limit or None], parallel)


def _row(outcome: Outcome) -> dict[str, object]:
    row = asdict(outcome)
    row["disturbance"] = f"{outcome.disturbance.kind.name}: {outcome.disturbance.label}"
    return row


if __name__ == "__main__":
    main()

"""``python -m tests.safety.chaos``: every fault at every write of every action type; exit 0 if each happened once."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import click

from devcluster.pki import Authority, Identity
from tests.e2e.objects import SYSTEM, resting
from tests.e2e.support import Cluster
from tests.safety import platform
from tests.safety.api import Api
from tests.safety.chaos.audit import AuditTail
from tests.safety.chaos.kinds import KINDS
from tests.safety.chaos.plans import policy
from tests.safety.chaos.proxy import Fault
from tests.safety.chaos.runs import Bench, Disturbance, Outcome, run

NODE_AUDIT = "data/audit/audit.log"


@dataclass(frozen=True)
class Effort:
    """How much is tried."""

    repeat: int = 1
    races: int = 2
    frozen: float = 90.0
    parallel: int = 3
    limit: int = 0
    minutes: float = 0.0
    seed: int = 0


def schedule(writes: dict[str, int], effort: Effort) -> list[Disturbance]:
    """``writes``: how many an undisturbed run makes, by action type.

    The long runs come first, the others in a random order of this seed: a run that is cut short has tried some of all.
    """
    long = [Disturbance(KINDS[name], frozen=effort.frozen) for name in writes if effort.frozen]
    long += [Disturbance(KINDS[name], racing=2) for name in writes for _ in range(effort.races)]
    faults = [
        Disturbance(KINDS[name], fault, at)
        for _ in range(effort.repeat)
        for name, count in writes.items()
        for at in range(1, count + 1)
        for fault in Fault
    ]
    Random(effort.seed).shuffle(faults)
    planned = long + faults
    return planned[: effort.limit or None]


def execute(bench: Bench, disturbances: Sequence[Disturbance], effort: Effort) -> list[Outcome]:
    """All runs, several at a time, each told as it ends; what the time does not suffice for is left out, and said."""
    end = time.monotonic() + effort.minutes * 60 if effort.minutes else float("inf")
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(effort.parallel) as pool:
        futures = [pool.submit(_one, bench, item, end) for item in disturbances]
        for future in as_completed(futures):
            outcome = future.result()
            if outcome is not None:
                outcomes.append(outcome)
                _tell(outcome, f"{len(outcomes):4}/{len(disturbances)}")
    if left := len(disturbances) - len(outcomes):
        click.echo(f"{left} runs left out: {effort.minutes:.0f} minutes are over", err=True)
    return outcomes


def _one(bench: Bench, item: Disturbance, end: float) -> Outcome | None:
    if time.monotonic() > end:
        return None
    try:
        return run(bench, item)
    except Exception as error:  # a run that could not be set up proves nothing, so it is a problem
        return Outcome(item, [f"{type(error).__name__}: {error}"])


def _tell(outcome: Outcome, number: str) -> None:
    item, mark = outcome.disturbance, "BAD" if outcome.problems else "ok "
    click.echo(
        f"{mark} {number} {item.kind.name:12} {item.label:44} {outcome.seconds:5.1f} s, {outcome.writes} writes, "
        f"{outcome.starts} starts", err=True,
    )  # fmt: skip
    for problem in outcome.problems:
        click.echo(f"      {problem}", err=True)


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
    lines = [f"{'':{width}}  " + "  ".join(f"{head:>11}" for head in heads)]
    lines += [f"{row:{width}}  " + "  ".join(f"{n[head] or '·':>11}" for head in heads) for row, n in rows.items()]
    return "\n".join(lines)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--cluster", "name", default="safety", show_default=True, help="An embedded one; brought up if missing.")
@click.option("--action", "actions", multiple=True, type=click.Choice(sorted(KINDS)), help="All by default.")
@click.option("--repeat", default=1, show_default=True, help="How often each fault is tried at each write.")
@click.option("--races", default=2, show_default=True, help="Runs with two executors, per action type.")
@click.option(
    "--freeze", "frozen", default=90.0, show_default=True, help="Seconds that an executor hangs; 0: none does."
)
@click.option("--parallel", default=3, show_default=True, help="Runs at a time.")
@click.option("--limit", default=0, help="Only the first so many runs.")
@click.option("--minutes", default=0.0, help="Begin no run after so long.")
@click.option("--seed", default=0, show_default=True, help="Order of the runs.")
@click.option("--report", type=click.Path(path_type=Path), help="Write all outcomes as JSON.")
def main(name: str, actions: tuple[str, ...], report: Path | None, **effort: Any) -> None:
    """Disturb the executor in every way at every write, and count in the audit log how often each action happened."""
    there, started = platform.exists(name), time.monotonic()
    kubeconfig = platform.up(name)
    try:
        outcomes = _all(Cluster(name, kubeconfig), actions or tuple(KINDS), Effort(**effort))
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


def _all(cluster: Cluster, actions: Sequence[str], effort: Effort) -> list[Outcome]:
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
        base = execute(bench, [Disturbance(KINDS[name]) for name in actions], effort)
        if any(outcome.problems for outcome in base):
            return base
        writes = {outcome.disturbance.kind.name: outcome.writes for outcome in base}
        return base + execute(bench, schedule(writes, effort), effort)


def _row(outcome: Outcome) -> dict[str, object]:
    row = asdict(outcome)
    row["disturbance"] = f"{outcome.disturbance.kind.name}: {outcome.disturbance.label}"
    return row


if __name__ == "__main__":
    main()

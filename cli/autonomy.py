"""`iirp autonomy`: what is known about each remedy, and what it may do by itself because of that."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import FILE, KUBECONFIG, OUTPUT

if TYPE_CHECKING:
    from controllers.policy.learning import Posterior

__all__ = ["autonomy"]


@click.command()
@click.option(
    "--from", "exported", multiple=True, type=FILE,
    help="Exported objects (kubectl get actionplans -A -o json), instead of the cluster.",
)  # fmt: skip
@click.option("--min-successes", default=5, show_default=True, type=click.IntRange(1, 100), help="Verified, in a row.")
@click.option("--min-success-percent", default=80, show_default=True, type=click.IntRange(0, 100), help="Lower bound.")
@click.option("--require-drill", is_flag=True, help="And a drill since the last failure.")
@KUBECONFIG
@OUTPUT
def autonomy(
    exported: tuple[Path, ...], min_successes: int, min_success_percent: int, require_drill: bool,
    kubeconfig: Path | None, output: str,
) -> None:  # fmt: skip
    """Show the posterior of each action x cause x workload class, and whether it would earn autonomy by these bounds.

    The bounds stand for those of a policy rule (spec.rules[].autonomy). What is earned never goes beyond policy.
    """
    from cli.objects import load
    from cli.plugin.words import table
    from controllers.policy.history import outcomes
    from controllers.policy.learning import learn, shortfall
    from crds.v1alpha1.actionpolicy import Autonomy

    asked = Autonomy(min_successes=min_successes, min_success_percent=min_success_percent, require_drill=require_drill)
    known = learn(outcomes(load(exported, kubeconfig).plans), datetime.datetime.now(datetime.UTC))
    rows = [(found, shortfall(asked, found)) for found in known.values()]
    if output == "json":
        click.echo(json.dumps([_wire(*row) for row in rows], indent=2))
        return
    if not rows:
        click.echo("no plan has been carried out and judged yet")
        return
    click.echo(
        table(
            ("ACTION", "CAUSE", "CLASS", "N", "MEAN", "LOWER", "STREAK", "EARNED"),
            (
                (
                    found.pair.action.value, found.pair.cause, found.pair.workload_class, found.trials,
                    f"{found.mean * 100:.0f}%", f"{found.lower * 100:.0f}%", found.streak,
                    f"no: {missing}" if missing else "yes",
                )
                for found, missing in rows
            ),
        )
    )  # fmt: skip


def _wire(found: Posterior, missing: str) -> dict[str, str | int | float | bool]:
    return {
        "action": found.pair.action.value, "cause": found.pair.cause, "class": found.pair.workload_class,
        "trials": found.trials, "mean": round(found.mean, 4), "lower": round(found.lower, 4), "streak": found.streak,
        "earned": not missing, "missing": missing,
    }  # fmt: skip

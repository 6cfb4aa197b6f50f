"""`iirp autonomy`: what is known about each remedy, and what it may do by itself because of that."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import click

from cli.options import FILE, KUBECONFIG, OUTPUT

__all__ = ["autonomy"]


@click.command()
@click.option(
    "--from", "exported", multiple=True, type=FILE,
    help="Exported objects (kubectl get actionplans -A -o json), instead of the cluster.",
)  # fmt: skip
@click.option("--min-successes", default=5, show_default=True, type=click.IntRange(1, 100))
@click.option("--min-success-percent", default=80, show_default=True, type=click.IntRange(0, 100))
@click.option("--require-drill", is_flag=True)
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
    rows = [(pair, found, shortfall(asked, found)) for pair, found in known.items()]
    if output == "json":
        listed = [
            {
                "action": pair.action.value, "cause": pair.cause, "class": pair.workload_class, "trials": found.trials,
                "mean": round(found.mean, 4), "lower": round(found.lower, 4), "streak": found.streak,
                "earned": not missing, "missing": missing,
            }
            for pair, found, missing in rows
        ]  # fmt: skip
        click.echo(json.dumps(listed, indent=2))
        return
    if not rows:
        click.echo("no plan has been carried out and judged yet")
        return
    click.echo(
        table(
            ("ACTION", "CAUSE", "CLASS", "N", "MEAN", "LOWER", "STREAK", "EARNED"),
            (
                (
                    pair.action.value, pair.cause, pair.workload_class, found.trials, f"{found.mean * 100:.0f}%",
                    f"{found.lower * 100:.0f}%", found.streak, f"no: {missing}" if missing else "yes",
                )
                for pair, found, missing in rows
            ),
        )
    )  # fmt: skip

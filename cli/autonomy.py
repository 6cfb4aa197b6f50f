"""`iirp autonomy`: what is known about each remedy, and what it may do by itself because of that."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import click

__all__ = ["autonomy"]


@click.command()
@click.option(
    "--from", "exported", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Exported objects (kubectl get actionplans -A -o json), instead of the cluster.",
)  # fmt: skip
@click.option("--min-successes", default=5, show_default=True, type=click.IntRange(1, 100))
@click.option("--min-success-percent", default=80, show_default=True, type=click.IntRange(0, 100))
@click.option("--require-drill", is_flag=True)
@click.option("-o", "output", type=click.Choice(["text", "json"]), default="text")
def autonomy(
    exported: tuple[Path, ...], min_successes: int, min_success_percent: int, require_drill: bool, output: str
) -> None:
    """Show the posterior of each action x cause x workload class, and whether it would earn autonomy by these bounds.

    The bounds stand for those of a policy rule (spec.rules[].autonomy). What is earned never goes beyond policy.
    """
    from cli.objects import load
    from controllers.policy.history import outcomes
    from controllers.policy.learning import learn, shortfall
    from crds.v1alpha1.actionpolicy import Autonomy

    asked = Autonomy(min_successes=min_successes, min_success_percent=min_success_percent, require_drill=require_drill)
    known = learn(outcomes(load(exported).plans), datetime.datetime.now(datetime.UTC))
    if not known and output == "text":
        click.echo("no plan has been carried out and judged yet")
    elif output == "text":
        click.echo(f"{'ACTION':<20}{'CAUSE':<20}{'CLASS':<14}{'N':>4}{'MEAN':>7}{'LOWER':>7}{'STREAK':>8}  EARNED")
    for pair, found in known.items():
        missing = shortfall(asked, found)
        if output == "json":
            row = {
                "action": pair.action.value, "cause": pair.cause, "class": pair.workload_class, "trials": found.trials,
                "mean": round(found.mean, 4), "lower": round(found.lower, 4), "streak": found.streak,
                "earned": not missing, "missing": missing,
            }  # fmt: skip
            click.echo(json.dumps(row))
            continue
        earned = f"no: {missing}" if missing else "yes"
        click.echo(
            f"{pair.action.value:<20}{pair.cause:<20}{pair.workload_class or '-':<14}{found.trials:>4}"
            f"{found.mean * 100:>6.0f}%{found.lower * 100:>6.0f}%{found.streak:>8}  {earned}"
        )

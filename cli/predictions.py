"""`iirp predictions`: the share of predictions that came true, from the Incidents themselves."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import KUBECONFIG, OUTPUT

if TYPE_CHECKING:
    from crds.v1alpha1 import Incident
    from crds.v1alpha1.predictions import Told

__all__ = ["predictions"]


@click.command()
@click.option("-n", "--namespace", default=None, help="Only incidents of this namespace. Default: all.")
@KUBECONFIG
@OUTPUT
def predictions(namespace: str | None, kubeconfig: Path | None, output: str) -> None:
    """Show each prediction (time to OOM, to a full disk) that an Incident made, and what became of it.

    CameTrue: the harm happened. Prevented: an action was judged Effective first. NotTrue: neither happened, and the
    fault went away or the interval passed. Open: still to come. The share leaves out what was prevented and what is
    open: nobody knows.
    """
    from cli.incidents import read
    from crds.v1alpha1.predictions import Outcome, told

    incidents, _ = read(namespace, kubeconfig)
    now = datetime.datetime.now(datetime.UTC)
    rows = [(one, found) for one in incidents if (found := told(one, now)) is not None]
    known = [found for _, found in rows if found.outcome in (Outcome.CAME_TRUE, Outcome.NOT_TRUE)]
    true = sum(found.outcome is Outcome.CAME_TRUE for found in known)
    if output == "json":
        share = round(true / len(known), 4) if known else None
        listed = [_wire(one, found) for one, found in rows]
        told_all = {"predictions": listed, "cameTrue": true, "decided": len(known), "share": share}
        click.echo(json.dumps(told_all, indent=2))
        return
    for one, found in rows:
        off = "" if found.at is None else f"  {(found.at - found.expected_at).total_seconds():+.0f} s from the estimate"
        name = f"{one.metadata.namespace}/{one.metadata.name}"
        click.echo(f"{name:<56} {found.outcome.value:<10} expected {found.expected_at:%Y-%m-%d %H:%M:%S}{off}")
    share_words = f"{true} of {len(known)} came true" if known else "none is decided yet"
    click.echo(f"{len(rows)} predictions; {share_words}")


def _wire(incident: Incident, found: Told) -> dict[str, str | bool | None]:
    return {
        "namespace": incident.metadata.namespace,
        "name": incident.metadata.name,
        "outcome": found.outcome.value,
        "expectedAt": found.expected_at.isoformat(),
        "harmedAt": found.at.isoformat() if found.at else None,
        "withinInterval": found.within,
    }

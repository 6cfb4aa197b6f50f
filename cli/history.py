"""`iirp history`: incidents, their timelines and changes, also long after their objects are gone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from cli.errors import plain_errors
from cli.options import OUTPUT, moment
from cli.plugin.words import harmless, table
from cli.telemetry import connection_options, gateway_from

__all__ = ["history"]

CLUSTER = click.option("--cluster", default="", help="By its clusterName, where the history is of several.")
WIDTH = 100
"""Characters of a cause or a change in a list."""


@click.group()
def history() -> None:
    """What was, also long after Kubernetes has forgotten it."""


@history.command()
@click.option("--namespace", "-n", default="", help="Of the incidents; default all.")
@click.option("--since", type=moment, default="30d", show_default=True, help="Began since then: 12h, 90d, RFC 3339.")
@click.option("--target", default="", help="Name of the workload, Service or node.")
@click.option("--type", "kind", default="", help="MemoryLeak, HighErrorRate, ...")
@click.option("--state", default="", help="Resolved, Escalated, ...")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="The newest so many.")
@CLUSTER
@OUTPUT
@connection_options
def incidents(
    namespace: str, since: datetime, target: str, kind: str, state: str, limit: int, cluster: str, output: str,
    **connection: Any,
) -> None:  # fmt: skip
    """Incidents, newest first: what, why, and what became of them."""
    asked = {"namespace": namespace, "target": target, "type": kind, "state": state, "cluster": cluster}
    rows = _ask("incidents", {**asked, "hours": _hours(since), "limit": str(limit)}, connection)
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
    elif not rows:
        click.echo(f"no incidents began since {_stamp(since)}Z")
    else:
        click.echo(table(
            ("BEGAN", "NAMESPACE", "NAME", "STATE", "SEV", "TYPE", "VERDICT", "CAUSE"),
            (
                (
                    _stamp(row["started_at"]), row["namespace"], row["name"], row["state"], row["severity"],
                    row["type"], row["verdict"] or "-", row["cause"][:WIDTH],
                )
                for row in rows
            ),
        ))  # fmt: skip


@history.command()
@click.argument("incident", metavar="NAME")
@click.option("--namespace", "-n", default="default", show_default=True, help="Of the incident.")
@CLUSTER
@OUTPUT
@connection_options
def show(incident: str, namespace: str, cluster: str, output: str, **connection: Any) -> None:
    """One incident with its whole timeline; with -o json its report, plans and approvals as well."""
    story = _ask(f"incidents/{namespace}/{incident}", {"cluster": cluster}, connection)
    if output == "json":
        click.echo(json.dumps(story, indent=2))
        return
    click.echo(harmless(f"{story['type']} on {story['target_kind']}/{story['target_name']}: {story['summary']}"))
    ended = f", over at {_stamp(story['resolved_at'])}" if story["resolved_at"] else ""
    click.echo(f"{story['state']}, began {_stamp(story['started_at'])}{ended}")
    for name in ("cause", "action", "verdict"):
        if story[name]:
            click.echo(harmless(f"{name}: {story[name]}"))
    for entry in story["timeline"]:
        who = f"  ({entry['actor']})" if entry["actor"] else ""
        click.echo(harmless(f"  {_stamp(entry['at'])}  {entry['source']:<9} {entry['message']}{who}"))


@history.command()
@click.option("--namespace", "-n", required=True, help="Where to look.")
@click.option("--since", type=moment, default="24h", show_default=True, help="Since then: 12h, 90d, RFC 3339.")
@click.option("--target", default="", help="Name of the workload that was changed.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="The newest so many.")
@CLUSTER
@OUTPUT
@connection_options
def changes(
    namespace: str, since: datetime, target: str, limit: int, cluster: str, output: str, **connection: Any
) -> None:
    """Rollouts, scalings, writes of configuration and the like, as incidents brought them up; newest first."""
    asked = {"namespace": namespace, "target": target, "hours": _hours(since), "limit": str(limit), "cluster": cluster}
    rows = _ask("changes", asked, connection)
    if output == "json":
        click.echo(json.dumps(rows, indent=2))
    elif not rows:
        click.echo(f"no change of {namespace} was brought up since {_stamp(since)}Z")
    else:
        click.echo(table(
            ("AT", "KIND", "TARGET", "BY", "WHAT"),
            (
                (
                    _stamp(row["at"]), row["kind"], f"{row['target_kind']}/{row['target_name']}", row["actor"] or "-",
                    row["summary"][:WIDTH],
                )
                for row in rows
            ),
        ))  # fmt: skip


@plain_errors()
def _ask(what: str, parameters: Mapping[str, str], connection: dict[str, Any]) -> Any:
    given = {name: value for name, value in parameters.items() if value}
    return gateway_from(**connection).history(what, given)


def _hours(since: datetime) -> str:
    return f"{max((datetime.now(tz=UTC) - since).total_seconds() / 3600, 0.001):.4f}"


def _stamp(at: datetime | str) -> str:
    known = datetime.fromisoformat(at) if isinstance(at, str) else at
    return known.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")

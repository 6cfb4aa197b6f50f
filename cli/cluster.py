"""`iirp cluster`: a Kubernetes cluster on whatever the machine has."""

from __future__ import annotations

import json
from pathlib import Path

import click

from cli.errors import plain_errors
from cli.options import FILE, OUTPUT, name_option
from cli.plugin.words import table
from devcluster import select

__all__ = ["cluster"]

_name = name_option("Which cluster; several can run side by side.")


@click.group()
def cluster() -> None:
    """Create, look at and remove clusters."""


@cluster.command()
@_name
@click.option(
    "--provider", type=click.Choice(["auto", "kind", "existing", "embedded"]), default="auto", show_default=True,
    help="auto: kind when a Docker engine answers and kind is there, else embedded. existing needs --context.",
)  # fmt: skip
@click.option("--context", help="The kubeconfig context of an existing cluster; never one taken silently.")
@plain_errors()
def up(name: str, provider: str, context: str | None) -> None:
    """Bring a cluster up, resume an interrupted `up`, or repair what was killed."""
    chosen = select.create(name, provider, context)
    chosen.up()
    status = chosen.status()
    click.echo(f"cluster {name} is ready: export KUBECONFIG={chosen.kubeconfig()}  ({status.server})")


@cluster.command()
@_name
@plain_errors()
def down(name: str) -> None:
    """Remove the cluster and everything that it left on this machine."""
    select.remove(name)
    click.echo(f"cluster {name} is gone")


@cluster.command()
@_name
@OUTPUT
@plain_errors()
def status(name: str, output: str) -> None:
    """Say what runs; exit 1 unless the cluster is ready."""
    seen = select.load(name).status()
    if output == "json":
        click.echo(json.dumps({field: getattr(seen, field) for field in seen.__slots__}, indent=2))
    else:
        click.echo(f"{seen.name}  {seen.provider}  {'ready' if seen.ready else 'NOT READY'}  {seen.server}")
        for part, state in seen.parts.items():
            click.echo(f"  {part:<26} {state}")
    raise SystemExit(0 if seen.ready else 1)


@cluster.command("list")
@OUTPUT
@plain_errors()
def list_clusters(output: str) -> None:
    """Name the clusters that this tool knows."""
    known = list(select.known())
    if output == "json":
        click.echo(json.dumps([{"name": record.name, "provider": record.provider} for record in known], indent=2))
    elif known:
        click.echo(table(("NAME", "PROVIDER"), ((record.name, record.provider) for record in known)))
    else:
        click.echo("no cluster yet: iirp cluster up --name NAME", err=True)


@cluster.command()
@_name
@click.option("--user", help="Issue one for a plain user instead, without rights beyond RBAC (embedded clusters).")
@click.option("--group", "groups", multiple=True, help="A group of that user; repeatable.")
@plain_errors()
def kubeconfig(name: str, user: str | None, groups: tuple[str, ...]) -> None:
    """Print the path of the kubeconfig file."""
    chosen = select.load(name)
    click.echo(chosen.kubeconfig() if user is None else select.user_kubeconfig(chosen, user, groups))


@cluster.command("load-image")
@_name
@click.argument("archives", nargs=-1, required=True, type=FILE)
@plain_errors()
def load_image(name: str, archives: tuple[Path, ...]) -> None:
    """Load docker-archives, so that pods can use their images without a registry."""
    select.load(name).load_images(archives)
    click.echo(f"loaded {len(archives)} image archive(s) into {name}")

"""`iirp cluster`: a Kubernetes cluster on whatever the machine has."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec

import click

from cli.names import name_option
from devcluster import select
from devcluster.errors import ClusterError, WrongArguments

__all__ = ["cluster"]

P = ParamSpec("P")

_name = name_option("Which cluster; several can run side by side.")


def _plain_errors(command: Callable[P, None]) -> Callable[P, None]:
    """One message that says what to do, in place of a traceback."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except WrongArguments as error:
            raise click.UsageError(str(error), click.get_current_context()) from error
        except ClusterError as error:
            raise click.ClickException(str(error)) from error

    return run


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
@_plain_errors
def up(name: str, provider: str, context: str | None) -> None:
    """Bring a cluster up, resume an interrupted `up`, or repair what was killed."""
    chosen = select.create(name, provider, context)
    chosen.up()
    status = chosen.status()
    click.echo(f"cluster {name} is ready: export KUBECONFIG={chosen.kubeconfig()}  ({status.server})")


@cluster.command()
@_name
@_plain_errors
def down(name: str) -> None:
    """Remove the cluster and everything that it left on this machine."""
    select.remove(name)
    click.echo(f"cluster {name} is gone")


@cluster.command()
@_name
@click.option("--output", "-o", type=click.Choice(["text", "json"]), default="text")
@_plain_errors
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
@_plain_errors
def list_clusters() -> None:
    """Name the clusters that this tool knows."""
    for record in select.known():
        click.echo(f"{record.name}\t{record.provider}")


@cluster.command()
@_name
@click.option("--user", help="Issue one for a plain user instead, without rights beyond RBAC (embedded clusters).")
@click.option("--group", "groups", multiple=True, help="A group of that user; repeatable.")
@_plain_errors
def kubeconfig(name: str, user: str | None, groups: tuple[str, ...]) -> None:
    """Print the path of the kubeconfig file."""
    chosen = select.load(name)
    click.echo(chosen.kubeconfig() if user is None else select.user_kubeconfig(chosen, user, groups))


@cluster.command("load-image")
@_name
@click.argument("archives", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_plain_errors
def load_image(name: str, archives: tuple[Path, ...]) -> None:
    """Load docker-archives, so that pods can use their images without a registry."""
    select.load(name).load_images(archives)
    click.echo(f"loaded {len(archives)} image archive(s) into {name}")

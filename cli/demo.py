"""`iirp demo`: from nothing to a resolved incident on a real cluster, with one command."""

from __future__ import annotations

import click

__all__ = ["demo"]

_name = click.option(
    "--name", default="demo", show_default=True, help="The cluster's name; several can run side by side."
)


@click.group(invoke_without_command=True)
@_name
@click.option(
    "--approve", type=click.Choice(["auto", "ask"]), default="auto", show_default=True,
    help="auto: a user named alice approves with kubectl. ask: the command is printed and you decide.",
)  # fmt: skip
@click.option(
    "--values",
    "-f",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False),
    help="Further Helm values for the chart.",
)
@click.pass_context
def demo(context: click.Context, name: str, approve: str, values: tuple[str, ...]) -> None:
    """Bring up a cluster and the platform, let a shop leak memory, and follow the incident to its end.

    Leaves everything running to look at; `iirp demo down` removes it. Running it again starts a fresh incident.
    """
    context.ensure_object(dict)["name"] = name
    if context.invoked_subcommand is not None:
        return
    from pathlib import Path

    from demo.driver.errors import DemoFailed
    from demo.driver.run import run
    from demo.driver.tell import Teller
    from devcluster.errors import ClusterError
    from external.errors import ExternalError

    teller = Teller()
    try:
        run(name, approve, teller, [Path(path) for path in values])
    except (DemoFailed, ClusterError, ExternalError) as error:
        raise click.ClickException(f"the demo failed after {teller.elapsed:.0f} s\n{error}") from error


@demo.command()
@click.option("--name", default=None, help="The cluster's name; the one given to `demo`, else `demo`.")
@click.pass_context
def down(context: click.Context, name: str | None) -> None:
    """Remove the cluster, the external side and their state; nothing is left behind."""
    from demo import platform
    from devcluster.errors import ClusterError
    from external.errors import ExternalError

    chosen = name or context.ensure_object(dict)["name"]
    try:
        platform.down(chosen)
    except (ClusterError, ExternalError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"demo {chosen} is gone", err=True)

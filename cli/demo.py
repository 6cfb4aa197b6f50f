"""`iirp demo`: from nothing to a resolved incident on a real cluster, with one command; or any scenario."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.errors import plain_errors
from cli.options import FILE, OUTPUT

if TYPE_CHECKING:
    from demo.driver.tell import Teller

__all__ = ["demo"]


@click.group(invoke_without_command=True)
@click.option("--name", default="demo", show_default=True, help="The cluster's name; several can run side by side.")
@click.option(
    "--approve", type=click.Choice(["auto", "ask"]), default="auto", show_default=True,
    help="auto: a user named alice approves with kubectl. ask: the command is printed and you decide.",
)  # fmt: skip
@click.option("--values", "-f", multiple=True, type=FILE, help="Further Helm values for the chart.")
@click.option("--scenarios", "listing", is_flag=True, help="List the scenarios and stop; -o json for scripts.")
@click.option(
    "--scenario", "names", default="", metavar="NAME[,NAME]", help="Run these instead: names, groups or `all`."
)
@click.option("--scenario-file", "files", multiple=True, type=FILE, help="Run your own scenario (docs/scenarios.md).")
@click.option("--repeat", default=1, show_default=True, type=click.IntRange(1, 100), help="Runs of each scenario.")
@click.option("--parallel", default=1, show_default=True, type=click.IntRange(1, 16), help="Runs side by side.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write the results as JSON.")
@click.option("--keep", is_flag=True, help="Leave the scenarios' namespaces for a look.")
@click.option("--kubeconfig", type=FILE, help="Run scenarios on this cluster, where the platform is installed already.")
@click.option("--shop-image", default="", help="With --kubeconfig: image of the shop, where a scenario uses it.")
@click.option("--platform-namespace", default="iirp-system", show_default=True, help="With --kubeconfig.")
@OUTPUT
@click.pass_context
def demo(
    context: click.Context, name: str, approve: str, values: tuple[Path, ...], listing: bool, names: str,
    files: tuple[Path, ...], repeat: int, parallel: int, report: Path | None, keep: bool,
    kubeconfig: Path | None, shop_image: str, platform_namespace: str, output: str,
) -> None:  # fmt: skip
    """Bring up a cluster and the platform, let a shop leak memory, and follow the incident to its end.

    Leaves everything running to look at; `iirp demo down` removes it. Running it again starts a fresh incident.

    With --scenario or --scenario-file it runs those instead, each in a namespace of its own, and holds what the
    platform says against what the scenario expects: exit code 1 when one run fails.
    """
    context.ensure_object(dict)["name"] = name
    if context.invoked_subcommand is not None:
        return
    from demo.driver.tell import Teller

    teller = Teller()
    with _failures(context, teller):
        if listing or names or files:
            from cli import scenarios

            if listing:
                scenarios.show(teller, output)
                return
            chosen = scenarios.chosen(names, files)
            ground = scenarios.ground(name, values, kubeconfig, shop_image, platform_namespace)
            good = scenarios.run(ground, chosen, scenarios.Options(repeat, parallel, report, keep), teller)
            context.exit(0 if good else 1)
        from demo.driver.run import run

        run(name, approve, teller, values)


@contextmanager
def _failures(context: click.Context, teller: Teller) -> Iterator[None]:
    """What failed, after how long, and what to do; Ctrl-C ends with 130, as shells have it."""
    from demo.driver.errors import DemoFailed
    from devcluster.errors import ClusterError

    try:
        yield
    except KeyboardInterrupt:
        click.echo("interrupted; what had begun is cleaned up", err=True)
        context.exit(130)
    except (DemoFailed, ClusterError) as error:
        raise click.ClickException(f"the demo failed after {teller.elapsed:.0f} s\n{error}") from error


@demo.command()
@click.option("--name", default=None, help="The cluster's name; the one given to `demo`, else `demo`.")
@click.pass_context
@plain_errors()
def down(context: click.Context, name: str | None) -> None:
    """Remove the cluster, the external side and their state; nothing is left behind."""
    from demo import platform

    chosen = name or context.ensure_object(dict)["name"]
    platform.down(chosen)
    click.echo(f"demo {chosen} is gone", err=True)

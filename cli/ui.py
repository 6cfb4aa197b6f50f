"""`iirp ui`: where to look at incidents in a browser."""

from __future__ import annotations

import json

import click

from cli.names import name_option

__all__ = ["ui"]


@click.command()
@name_option("The cluster's name.")
@click.option("--namespace", "-n", default="shop", show_default=True, help="Namespace of the incidents.")
@click.option(
    "--account",
    default="oncall",
    show_default=True,
    help="ServiceAccount to sign in as; in the demo oncall may look, approver may decide.",
)
@click.option("--open/--no-open", "open_", default=False, help="Also open the page in the default browser.")
@click.option("--output", "-o", type=click.Choice(["text", "json"]), default="text")
def ui(name: str, namespace: str, account: str, open_: bool, output: str) -> None:
    """Print the page's address, and the command that makes a token for its log-in.

    The page shows what that token may see: it reads the API server with it and with nothing else.
    """
    from devcluster import select
    from devcluster.errors import ClusterError
    from external.errors import ExternalError
    from external.plane import ExternalPlane

    try:
        kubeconfig = select.load(name).kubeconfig()
        plane = ExternalPlane(name)
        url = plane.urls.local_gateway
    except (ClusterError, ExternalError) as error:
        raise click.ClickException(str(error)) from error
    token = f"kubectl --kubeconfig={kubeconfig} create token {account} -n {namespace}"
    if output == "json":
        click.echo(json.dumps({"url": url, "caFile": str(plane.ca_file), "tokenCommand": token}))
    else:
        click.echo(url)
        click.echo(f"log in with a token:  {token}", err=True)
        click.echo(f"the certificate is signed by {plane.ca_file}", err=True)
    if open_:
        click.launch(url)

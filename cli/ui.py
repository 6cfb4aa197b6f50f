"""`iirp ui`: the page in a browser, through an address of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from cli.options import default_name

if TYPE_CHECKING:
    from cli.plugin.kube import Kubectl
    from cli.tunnel import Door, Route

__all__ = ["Page", "find_page", "ui"]

_DEPLOYMENT = "iirp-rca"
"""A controller that talks to the analysis server: its environment says where that is, and whom to trust."""


@dataclass(frozen=True, slots=True)
class Page:
    """Where the controllers of a cluster find the analysis server; ``ca`` is PEM, None for the usual authorities."""

    url: str
    ca: str | None

    @property
    def in_cluster(self) -> tuple[str, str] | None:
        """Service and namespace, where it is one of the cluster's own."""
        name, _, rest = (urlsplit(self.url).hostname or "").partition(".")
        namespace, dot, tail = rest.partition(".")
        return (name, namespace) if dot and tail in ("svc", "svc.cluster.local") else None


@click.command()
@click.argument("incident", default="")
@click.option("--name", default="", help="A development cluster of this machine.")
@click.option("--context", default="", help="Of the kubeconfig. Default: its current one.")
@click.option("--kubeconfig", default="", help="Default: $KUBECONFIG, then this machine's only development cluster.")
@click.option("--platform-namespace", default="iirp-system", show_default=True, help="Where the platform runs.")
@click.option("--account", default="", help="Also make a token (1 h) of this ServiceAccount to sign in with.")
@click.option("--namespace", "-n", default="shop", show_default=True, help="Of INCIDENT, and of that ServiceAccount.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Local port. Default: a free one.")
@click.option("--open/--no-open", "open_", default=True, help="Open the default browser.", show_default=True)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="json: say where, and end.")
def ui(
    incident: str, name: str, context: str, kubeconfig: str, platform_namespace: str, account: str, namespace: str,
    port: int, open_: bool, output: str,
) -> None:  # fmt: skip
    """Open the page, or that of INCIDENT, at a local address, until Ctrl-C.

    Leads to the analysis server that the cluster's controllers use: through a port-forward where it runs in the
    cluster, straight where it is outside. Its certificate is checked against the CA that the controllers trust.
    You sign in there with a Kubernetes token; the page shows and does what that token may, and nothing else.
    """
    from cli.plugin.kube import Kubectl, PluginError
    from cli.tunnel import TunnelError

    flags = [f"--{key}={value}" for key, value in _credential(name, context, kubeconfig).items() if value]
    kubectl = Kubectl([*flags, "--request-timeout=10s"])
    try:
        page = find_page(kubectl, platform_namespace)
        if output == "json":
            click.echo(json.dumps({"url": page.url, "ca": page.ca}))
            return
        token = kubectl.run("create", "token", account, f"--namespace={namespace}").strip() if account else ""
        route, door = _way(page, Kubectl(flags))
        path = f"/incidents/{namespace}/{incident}" if incident else ""
        with contextlib.suppress(KeyboardInterrupt):  # the usual end
            asyncio.run(_serve(route, door, port, path, token, open_=open_))
    except (PluginError, TunnelError) as error:
        raise click.ClickException(f"{error}\n  what is missing: iirp doctor") from error
    except OSError as error:  # of the local port
        raise click.ClickException(str(error)) from error


def find_page(kubectl: Kubectl, platform: str) -> Page:
    """As the cluster's own controllers know it.

    Raises:
        PluginError: the platform is not there, or may not be looked at.
    """
    pod: dict[str, Any] = json.loads(
        kubectl.run("get", "deployment", _DEPLOYMENT, f"--namespace={platform}", "-o", "json")
    )["spec"]["template"]["spec"]
    url = next(item["value"] for item in pod["containers"][0]["env"] if item["name"] == "IIRP_ANALYSIS_URL")
    maps = [volume["configMap"]["name"] for volume in pod["volumes"] if volume["name"] == "external-ca"]
    if not maps:
        return Page(url, None)
    held = json.loads(kubectl.run("get", "configmap", maps[0], f"--namespace={platform}", "-o", "json"))
    return Page(url, held["data"]["ca.crt"])


def _credential(name: str, context: str, kubeconfig: str) -> dict[str, str]:
    """What is named, else $KUBECONFIG, else the development cluster of this machine, else kubectl's own default."""
    from devcluster import select
    from devcluster.errors import ClusterError

    if name or not (context or kubeconfig or os.environ.get("KUBECONFIG")):
        try:
            kubeconfig = str(select.load(name or default_name()).kubeconfig())
        except ClusterError as error:
            if name:
                raise click.ClickException(str(error)) from error
    return {"context": context, "kubeconfig": kubeconfig}


def _way(page: Page, kubectl: Kubectl) -> tuple[Route, Door]:
    from cli.tunnel import Door, Forward, Straight

    where = urlsplit(page.url)
    host, port = where.hostname or "", where.port or 443
    door = Door(host, page.ca)
    if page.in_cluster is None:
        return Straight(host, port), door
    service, namespace = page.in_cluster
    target = ("port-forward", f"service/{service}", f":{port}", f"--namespace={namespace}", "--address=127.0.0.1")
    return Forward(kubectl.command(*target)), door


async def _serve(route: Route, door: Door, port: int, path: str, token: str, *, open_: bool) -> None:
    from cli.tunnel import serve

    def ready(taken: int) -> None:
        url = f"http://localhost:{taken}{path}"
        click.echo(f"{url}        (Ctrl-C ends it)")
        if token:
            click.echo(f"sign in with this token:\n{token}", err=True)
        else:
            click.echo("sign in with a token of yours; --account NAME -n NAMESPACE makes one here", err=True)
        if open_:
            click.launch(url)

    await serve(route, door, port, ready)

"""`iirp external`: the external side of a cluster, on this machine."""

from __future__ import annotations

import datetime
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.errors import plain_errors
from cli.options import FILE, OUTPUT, name_option

if TYPE_CHECKING:
    from devcluster.provider import Provider
    from external.plane import ExternalPlane

__all__ = ["external"]

_PARTS = ("s3", "prometheus", "loki", "analysis", "gateway")
_NAME = name_option("Cluster that it belongs to.")
_KUBECONFIG = click.option("--kubeconfig", type=FILE, help="Default: that of the cluster.")


@click.group()
def external() -> None:
    """The external side: Prometheus, Loki, S3, gateway, analysis server."""


@external.command()
@_NAME
@_KUBECONFIG
@click.option("--settings", type=FILE, help="YAML; kept for later.")
@click.option(
    "--address", "addresses", multiple=True, help="Of this machine, as pods see it. Default: asks the cluster."
)
def up(name: str, kubeconfig: Path | None, settings: Path | None, addresses: tuple[str, ...]) -> None:
    """Start or converge everything; keeps what runs as it should."""
    with plain_errors():
        from external.settings import read

        wanted = read(settings) if settings else None
        found = addresses or (wanted.gateway.addresses if wanted else ()) or _host_addresses(name)
        plane = _plane(name, kubeconfig)
        urls = plane.up(wanted, found, say=_timed())
        click.echo(f"gateway for the cluster: {urls.gateway}", err=True)
        click.echo(f"chart values:            {plane.values_file}", err=True)
        _try_connect(plane)


@external.command()
@_NAME
@click.option("--delete-data", is_flag=True, help="Also delete metrics, logs, keys and certificates.")
def down(name: str, delete_data: bool) -> None:
    """Stop everything."""
    with plain_errors():
        _plane(name).down(delete_data)
        click.echo(f"external side of {name}: stopped{', data deleted' if delete_data else ''}", err=True)


@external.command()
@_NAME
@OUTPUT
def status(name: str, output: str) -> None:
    """Show each part; exit 1 unless all are ready."""
    with plain_errors():
        from external.plane import as_dict

        plane = _plane(name)
        parts = plane.status()
        if output == "json":
            click.echo(json.dumps([as_dict(part) for part in parts], indent=2))
        else:
            for part in parts:
                click.echo(f"{part.name:<11} {part.state:<9} {part.pid or '-':>8}  {part.address}")
        missing = [part.name for part in parts if part.state not in {"Ready", "External"}]
        nothing = all(part.state in {"Stopped", "External"} for part in parts)
        if not nothing:
            _tell_expiry(plane.credential_expiry(), name)
    if nothing:
        click.echo(f"nothing runs: iirp external up --name {name}", err=True)
        raise click.exceptions.Exit(1)
    if missing:
        click.echo(f"not ready: {', '.join(missing)}; see: iirp external logs PART --name {name}", err=True)
        raise click.exceptions.Exit(1)


@external.command()
@_NAME
@click.argument("part", type=click.Choice(_PARTS))
@click.option("--lines", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The newest so many.")
def logs(name: str, part: str, lines: int) -> None:
    """The last lines that a part wrote."""
    with plain_errors():
        from devcluster.errors import tail

        path = _plane(name).table.log(part)
        if not path.is_file():
            raise click.ClickException(f"{part} has not run yet: iirp external up --name {name}")
        click.echo(f"{path}:", err=True)
        for line in tail(path, lines, limit=4_194_304):
            click.echo(line)


@external.command()
@_NAME
@_KUBECONFIG
@click.option("--days", type=click.IntRange(1, 365), default=30, show_default=True, help="Lifetime of the token.")
def connect(name: str, kubeconfig: Path | None, days: int) -> None:
    """Give the gateway its credential for TokenReviews; run it after installing the chart, and before it expires."""
    with plain_errors():
        plane = _plane(name, kubeconfig)
        click.echo(f"credential valid until {plane.connect(days=days)}", err=True)


@external.command()
@click.option("--settings", required=True, type=FILE, help="With objectStore.")
@_NAME
@_KUBECONFIG
def bucket(settings: Path, name: str, kubeconfig: Path | None) -> None:
    """Create the bucket of an object store and try it out, without starting anything."""
    with plain_errors():
        from external import credentials, objectstore
        from external.errors import ExternalError
        from external.settings import read

        store = read(settings).object_store
        if store.embedded:
            raise ExternalError(f"{settings} names no objectStore.endpoint; the built-in store is made by: external up")
        plane = _plane(name, kubeconfig)
        keys = credentials.store_keys(store, plane.layout, plane.kubeconfig)
        made = objectstore.prepare(store, store.endpoint, objectstore.client(store.endpoint, store.region, keys))
        state = "created" if made.created else "there"
        click.echo(f"bucket {made.name} at {made.endpoint}: {state}, usable; lifecycle rule {made.lifecycle}", err=True)


@external.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--settings", type=FILE, help="YAML; without it the defaults.")
@_NAME
@click.option("--host", "hosts", multiple=True, help="Name or address in the gateway's certificate.")
def render(folder: Path, settings: Path | None, name: str, hosts: tuple[str, ...]) -> None:
    """Write compose.yaml and all configuration files into FOLDER, for a machine with Docker."""
    with plain_errors():
        from external.compose import write_project
        from external.settings import Settings, read

        wanted = read(settings) if settings else Settings()
        write_project(folder, name, wanted, hosts)
        click.echo(f"put a kubeconfig that may create TokenReviews at {folder}/credentials/tokenreview.kubeconfig")
        click.echo("docker build --target analysis -t iirp/analysis -f images/Dockerfile .")
        click.echo(f"cd {folder} && docker compose up -d")


def _plane(name: str, kubeconfig: Path | None = None) -> ExternalPlane:
    from devcluster.state import check_name
    from external.plane import ExternalPlane

    cluster = _cluster(check_name(name))
    return ExternalPlane(name, kubeconfig=kubeconfig or (cluster.kubeconfig() if cluster else None))


def _host_addresses(name: str) -> tuple[str, ...]:
    """This machine as the cluster's pods reach it, when the cluster is one of ours."""
    cluster = _cluster(name)
    address = cluster.status().host_address if cluster else None
    return (address,) if address else ()


def _cluster(name: str) -> Provider | None:
    from devcluster import select

    return select.load(name) if any(record.name == name for record in select.known()) else None


def _try_connect(plane: ExternalPlane) -> None:
    """Nice to have at this moment: before the chart is installed there is no ServiceAccount yet."""
    from external.errors import ExternalError

    try:
        click.echo(f"TokenReview credential valid until {plane.connect()}", err=True)
    except ExternalError as error:
        click.echo(
            f"no TokenReview credential yet ({error}); after installing the chart: iirp external connect", err=True
        )


def _tell_expiry(expiry: datetime.datetime | None, name: str) -> None:
    """Without the credential every request from the cluster is answered 503; worth a word in time."""
    if expiry is None:
        click.echo(
            f"no TokenReview credential; after installing the chart: iirp external connect --name {name}", err=True
        )
        return
    left = expiry - datetime.datetime.now(datetime.UTC)
    advice = f"; renew it now: iirp external connect --name {name}" if left < datetime.timedelta(days=7) else ""
    click.echo(f"TokenReview credential valid until {expiry:%Y-%m-%d %H:%M}Z{advice}", err=True)


def _timed() -> Callable[[str], None]:
    begun = time.monotonic()
    return lambda text: click.echo(f"{time.monotonic() - begun:6.1f} s  {text}", err=True)

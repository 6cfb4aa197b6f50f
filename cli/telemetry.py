"""`iirp logs` and `iirp metrics`: the external side by time and labels, through the gateway, with a reader's token."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.errors import plain_errors
from cli.options import FILE, OUTPUT, moment, name_option
from cli.plugin.words import harmless

if TYPE_CHECKING:
    from external.query import Gateway, LogLine, Series

__all__ = ["logs", "metrics"]

_FOLLOW_OVERLAP = timedelta(seconds=20)
_FOLLOW_LIMIT = 5000
_FOLLOW_INTERVAL = 1.0
_FOLLOW_RETRY = 5.0


def connection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Options that say which external side is asked, and as whom; they go to :func:`gateway_from`."""
    for option in (
        name_option("Cluster whose external side is asked."),
        click.option("--gateway", envvar="IIRP_EXTERNAL_URL", help="Address, where it is not on this machine."),
        click.option("--ca-file", type=FILE, envvar="IIRP_CA_FILE", help="CA of that gateway."),
        click.option("--kubeconfig", type=FILE, help="To request the reader's token with. Default: $KUBECONFIG."),
        click.option("--token-file", type=FILE, help="A bearer token, instead of requesting one of iirp-reader."),
    ):
        command = option(command)
    return command


def _labels(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--since", type=moment, default="10m", show_default=True, help="Before now, or RFC 3339."),
        click.option("--until", type=moment, default="0s", help="The same. Default: now."),
        click.option("--selector", "-l", default="", help="app=x,pod=~y-.* (or the query language itself, for logs)."),
        click.option("--namespace", "-n", help="Kubernetes namespace."),
        click.option("--pod", help="Pod."),
        click.option("--container", "-c", help="Container."),
        OUTPUT,
    ):
        command = option(command)
    return command


@click.command()
@_labels
@click.option("--contains", default="", help="Words that the line holds, taken literally.")
@click.option("--limit", type=click.IntRange(1, 20_000), default=200, show_default=True, help="The newest so many.")
@click.option("--follow", "-f", is_flag=True, help="Go on until interrupted.")
@connection_options
def logs(
    since: datetime, until: datetime, selector: str, namespace: str | None, pod: str | None, container: str | None,
    output: str, contains: str, limit: int, follow: bool, **connection: Any,
) -> None:  # fmt: skip
    """Log lines, oldest first. Events are lines too: --selector source=event."""
    with plain_errors():
        from external.query import log_query

        _check_window(since, until)
        query = _written(log_query, selector, _terms(namespace, pod, container), contains)
        gateway = gateway_from(**connection)
        lines = gateway.lines(query, since, until, limit)
        for line in lines:
            _print_line(line, output)
        if follow:
            _follow(gateway, query, lines, output)
        elif len(lines) == limit:
            click.echo(f"only the newest {limit} lines are shown; see --limit", err=True)
        elif not lines:
            click.echo(f"no line matches {query} since {since:%Y-%m-%d %H:%M:%S}Z", err=True)


@click.command()
@click.argument("query", default="")
@_labels
@click.option("--step", type=click.FloatRange(min=0.1), help="Seconds between values. Default: 60 values.")
@connection_options
def metrics(
    query: str, since: datetime, until: datetime, selector: str, namespace: str | None, pod: str | None,
    container: str | None, output: str, step: float | None, **connection: Any,
) -> None:  # fmt: skip
    """Values of QUERY: a metric's name, PromQL, or nothing with a --selector that says enough."""
    with plain_errors():
        from external.query import metric_query

        _check_window(since, until)
        expression = _written(metric_query, query, selector, _terms(namespace, pod, container))
        interval = step or max(1.0, (until - since).total_seconds() / 60)
        series = gateway_from(**connection).values(expression, since, until, interval)
        if output == "json":
            click.echo(json.dumps([{"labels": dict(item.labels), "points": item.points} for item in series]))
        elif not series:
            click.echo(f"no series matches {expression} since {since:%Y-%m-%d %H:%M:%S}Z", err=True)
        else:
            _print_series(series)


def gateway_from(
    name: str, gateway: str | None, ca_file: Path | None, kubeconfig: Path | None, token_file: Path | None
) -> Gateway:
    """The gateway that the options mean.

    Raises:
        ClusterError: there is none of that name.
    """
    from external.plane import ExternalPlane
    from external.query import Gateway

    if gateway is None:
        plane = ExternalPlane(name)
        gateway, ca_file = plane.urls.local_gateway, plane.ca_file
    token = _token_source(name, kubeconfig, token_file)
    return Gateway(gateway, ca_file, token, hint=f"Look at: iirp external status --name {name}")


def _token_source(name: str, kubeconfig: Path | None, token_file: Path | None) -> Callable[[], str]:
    """From a file, or by TokenRequest for iirp-system/iirp-reader with the caller's own rights."""
    if token_file is not None:
        return lambda: token_file.read_text().strip()
    from external.credentials import ReaderToken

    return ReaderToken(kubeconfig_of(name, kubeconfig))


def kubeconfig_of(name: str, kubeconfig: Path | None) -> Path | None:
    """What was given, else nothing where ``$KUBECONFIG`` says enough, else that of the development cluster ``name``."""
    if kubeconfig is not None or os.environ.get("KUBECONFIG"):
        return kubeconfig
    from devcluster import select

    return select.load(name).kubeconfig() if any(record.name == name for record in select.known()) else None


def _follow(gateway: Gateway, query: str, shown: list[LogLine], output: str) -> None:
    """Polls an overlapping window: lines of different nodes arrive out of order."""
    from external.errors import ExternalError

    seen: OrderedDict[tuple[int, str, str], None] = OrderedDict((_key(line), None) for line in shown)
    while True:
        now = datetime.now(UTC)
        try:
            lines = gateway.lines(query, now - _FOLLOW_OVERLAP, now, _FOLLOW_LIMIT)
        except ExternalError as error:
            click.echo(f"{error}; trying again", err=True)
            time.sleep(_FOLLOW_RETRY)
            continue
        for line in lines:
            if _key(line) not in seen:
                seen[_key(line)] = None
                _print_line(line, output)
        while len(seen) > 4 * _FOLLOW_LIMIT:
            seen.popitem(last=False)
        time.sleep(_FOLLOW_INTERVAL)


def _key(line: LogLine) -> tuple[int, str, str]:
    return line.at, line.labels.get("k8s_pod_name", ""), line.text


def _print_line(line: LogLine, output: str) -> None:
    if output == "json":
        click.echo(json.dumps({"at": line.at, "line": line.text, "labels": dict(line.labels)}))
        return
    at = datetime.fromtimestamp(line.at / 1e9, UTC)
    who = line.labels.get("k8s_pod_name") or line.labels.get("k8s_object_name") or line.labels.get("service_name", "-")
    place = f"{line.labels.get('k8s_namespace_name', '-')}/{who}"
    click.echo(f"{at:%H:%M:%S.%f}"[:-3] + f" {place} {harmless(line.text.expandtabs())}")


def _print_series(series: list[Series]) -> None:
    for item in series:
        name = item.labels.get("__name__", "")
        labels = ", ".join(f"{key}={value}" for key, value in sorted(item.labels.items()) if key != "__name__")
        values = [value for _, value in item.points]
        click.echo(f"{harmless(name)}{{{harmless(labels)}}}")
        click.echo(
            f"  {_spark(values)}  last {values[-1]:.6g}  min {min(values):.6g}  max {max(values):.6g}  n {len(values)}"
        )


def _spark(values: list[float], width: int = 40) -> str:
    """A line of blocks; plain digits where the terminal has no Unicode."""
    picked = values[:: max(1, len(values) // width)][-width:]
    low, high = min(picked), max(picked)
    blocks = "▁▂▃▄▅▆▇█" if (sys.stdout.encoding or "").lower().startswith("utf") else "01234567"
    span = high - low
    return "".join(blocks[int((value - low) / span * 7) if span > 0 else 0] for value in picked)


def _terms(namespace: str | None, pod: str | None, container: str | None) -> dict[str, str]:
    given = {"namespace": namespace, "pod": pod, "container": container}
    return {key: value for key, value in given.items() if value}


def _check_window(since: datetime, until: datetime) -> None:
    if since >= until:
        raise click.UsageError("--since must lie before --until")


def _written(query: Callable[..., str], *parts: Any) -> str:
    try:
        return query(*parts)
    except ValueError as error:
        raise click.UsageError(str(error)) from error

"""`iirp rca verify`: run a report's queries again, and say of each whether it still returns what the report claims."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.errors import plain_errors
from cli.options import FILE, OUTPUT
from cli.plugin.words import harmless
from cli.telemetry import connection_options, gateway_from, kubeconfig_of

if TYPE_CHECKING:
    from controllers.kube.api import Kube
    from crds.v1alpha1.rcareport import LogExcerpt, RCAReport
    from external.rerun import Checked

__all__ = ["rca"]


@click.group()
def rca() -> None:
    """Root causes that anyone can check."""


@rca.command()
@click.argument("report_name", metavar="NAME", default="")
@click.option("--namespace", "-n", default="default", show_default=True, help="Namespace of the report.")
@click.option(
    "--file", "-f", "path", type=FILE,
    help="A report as `kubectl get rcareport NAME -o yaml` exports it, instead of NAME.",
)  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Refuted causes too; default: the causes that stand.")
@OUTPUT
@connection_options
def verify(
    report_name: str, namespace: str, path: Path | None, everything: bool, output: str, **connection: Any
) -> None:
    """Run the queries of report NAME again over its window: evidence and refuters, metrics, logs and API look-ups.

    Each is `same` (equal to the last digit that counts), `close` (within five percent), `there` (the object exists),
    `changed`, `no data` (expired, or never stored), `gone`, `not run` (the report has no result of it) or `unreadable`.

    Exit code 0: all that was run agrees; 1: something changed; 3: nothing changed, but not all could be checked.
    """
    from controllers.kube.client import connect
    from external.rerun import Rerun, exit_code

    if bool(report_name) == bool(path):
        raise click.UsageError("name a report, or give one with --file")
    with plain_errors():
        kube = connect(kubeconfig_of(connection["name"], connection["kubeconfig"]))
        report = load_report(kube, namespace, report_name, path)
        checked = list(Rerun(gateway_from(**connection), kube).check(report, everything=everything))
    if output == "json":
        click.echo(json.dumps([one.wire() for one in checked], indent=2))
    else:
        _print(checked)
    raise SystemExit(exit_code(checked))


@rca.command()
@click.argument("report_name", metavar="NAME")
@click.argument("line", metavar="[ID]", default="")
@click.option("--namespace", "-n", default="default", show_default=True, help="Namespace of the report.")
@click.option("--around", type=click.IntRange(0, 500), default=10, show_default=True, help="Lines before and after it.")
@OUTPUT
@connection_options
def logs(report_name: str, namespace: str, line: str, around: int, output: str, **connection: Any) -> None:
    """What the logs say by report NAME; with the ID of an excerpt, its line in Loki and the lines around it.

    The line itself is marked with `>`. Unlike the report, Loki shows lines as they were written, secrets included.
    """
    from controllers.kube.client import connect
    from external.rerun import Rerun, id_of

    with plain_errors():
        kube = connect(kubeconfig_of(connection["name"], connection["kubeconfig"]))
        found = load_report(kube, namespace, report_name, None).status.logs
        if not line:
            _print_excerpts(found, output)
            return
        excerpt = next((one for one in found if one.id == line), None)
        if excerpt is None:
            known = ", ".join(one.id for one in found) or "none"
            raise click.ClickException(f"report {namespace}/{report_name} quotes no line {line}; it has {known}")
        lines = Rerun(gateway_from(**connection), kube).record(excerpt, around)
    marked = [(one, id_of(one) == line) for one in lines]
    if not any(here for _, here in marked):
        raise click.ClickException(f"Loki has no line {line} (any more): its retention may be over")
    if output == "json":
        click.echo(json.dumps([{"at": one.at, "line": one.text, "quoted": here} for one, here in marked], indent=2))
        return
    for one, here in marked:
        click.echo(f"{'>' if here else ' '} {harmless(one.text)}")


def load_report(kube: Kube, namespace: str, name: str, path: Path | None) -> RCAReport:
    """From the cluster, or from a file.

    Raises:
        click.ClickException: there is none, or it is not a report.
    """
    from pydantic import ValidationError

    from cli.objects import documents
    from controllers.kube.errors import NotFound
    from crds.v1alpha1.rcareport import RCAReport

    try:
        if path is None:
            return kube.get(RCAReport, namespace, name)
        found = [item for item in documents(path) if item.get("kind") == RCAReport.definition.kind]
        if len(found) != 1:
            raise click.ClickException(f"{path}: holds {len(found)} RCAReports, need exactly one")
        return RCAReport.from_wire(found[0])
    except NotFound as error:
        raise click.ClickException(f"no RCAReport {namespace}/{name}; see kubectl get rcar -A") from error
    except ValidationError as error:
        raise click.ClickException(f"not a report: {error.errors()[0]['msg']}") from error


def _print_excerpts(found: Sequence[LogExcerpt], output: str) -> None:
    if output == "json":
        click.echo(json.dumps([one.to_wire() for one in found], indent=2))
        return
    if not found:
        click.echo("nothing that was not there before the onset")
    for one in found:
        click.echo(f"{one.mark.value:<9} x{one.count:<7} ({one.before} before)  {one.id}  {harmless(one.template)}")


def _print(checked: list[Checked]) -> None:
    cause = ""
    for one in checked:
        if one.cause != cause:
            cause = one.cause
            click.echo(harmless(cause))
        click.echo(harmless(f"  {one.verdict:<10} {one.role:<8} {one.claim}"))
        click.echo(harmless(f"             {one.language}: {one.query}"))
        if one.detail:
            click.echo(harmless(f"             {one.detail}"))

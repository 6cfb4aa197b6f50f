"""`iirp doctor`: what works, what is missing, and the command that helps; `iirp completion`."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import FILE, OUTPUT

if TYPE_CHECKING:
    from cli.checks import Finding
    from cli.plugin.kube import Kubectl

__all__ = ["completion", "doctor"]

_REQUEST_TIMEOUT = "10s"


@click.command()
@click.option("--context", default="", help="Of the kubeconfig. Default: its current one.")
@click.option("--kubeconfig", default="", help="Default: $KUBECONFIG.")
@click.option("--namespace", "-n", default="default", show_default=True, help="Whose incidents you look at.")
@click.option("--platform-namespace", default="iirp-system", show_default=True, help="Where the platform runs.")
@click.option(
    "--gateway", envvar="IIRP_EXTERNAL_URL", default="", help="Of the external side. Default: the controllers'."
)
@click.option("--ca-file", envvar="IIRP_CA_FILE", type=FILE, help="CA of the gateway.")
@OUTPUT
def doctor(
    context: str,
    kubeconfig: str,
    namespace: str,
    platform_namespace: str,
    gateway: str,
    ca_file: Path | None,
    output: str,
) -> None:
    """Look at the cluster with your own credential and say what is missing.

    Changes nothing. Exit 1 if something fails; warnings alone exit 0.
    """
    from cli.checks import Level, check_cluster
    from cli.plugin.kube import Kubectl, PluginError

    given = (("context", context), ("kubeconfig", kubeconfig), ("request-timeout", _REQUEST_TIMEOUT))
    kubectl = Kubectl([f"--{name}={value}" for name, value in given if value])
    found: list[Finding] = []
    try:
        for finding in check_cluster(kubectl, namespace, platform_namespace):
            _tell(finding, output)
            found.append(finding)
    except PluginError as error:
        raise click.ClickException(str(error)) from error
    external = _gateway(gateway, ca_file) if gateway else _controllers_gateway(kubectl, platform_namespace)
    if external:
        found.append(external)
        _tell(external, output)
    if output == "json":
        click.echo(json.dumps([{field: getattr(item, field) for field in item.__slots__} for item in found], indent=2))
    raise SystemExit(1 if any(item.level is Level.FAIL for item in found) else 0)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of SHELL, for ~/.local/share/bash-completion/completions/iirp and the like."""
    from click.shell_completion import get_completion_class

    from cli.main import cli

    chosen = get_completion_class(shell)
    if chosen is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(chosen(cli, {}, "iirp", "_IIRP_COMPLETE").source())


def _tell(finding: Finding, output: str) -> None:
    if output != "text":
        return
    from cli.checks import Level
    from cli.plugin.words import harmless

    colour = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}[finding.level]
    click.echo(f"{click.style(f'{finding.level.value:<5}', fg=colour)} {finding.name:<32} {harmless(finding.message)}")
    if finding.advice:
        click.echo(f"      → {harmless(finding.advice)}")


def _controllers_gateway(kubectl: Kubectl, platform: str) -> Finding | None:
    """Where the controllers send their questions; None where that is a Service of the cluster, or not known."""
    from cli.checks import Finding, Level
    from cli.plugin.kube import PluginError
    from cli.ui import find_page

    try:
        page = find_page(kubectl, platform)
    except PluginError:
        return None  # a check before this one has said what is missing
    if page.in_cluster:
        return None
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(page.ca or "")
        file.flush()
        found = _gateway(page.url, Path(file.name) if page.ca else None)
    if found.level is Level.OK:
        return found
    return Finding(found.name, Level.WARN, f"{found.message} (from here; pods may reach it)", found.advice)


def _gateway(url: str, ca_file: Path | None) -> Finding:
    """The gateway answers the page's sign-in without a credential: DNS, TLS, nginx, analysis server at once."""
    import requests

    from cli.checks import Finding, Level

    try:
        answer = requests.get(f"{url.rstrip('/')}/login", timeout=(5, 10), verify=str(ca_file) if ca_file else True)
    except requests.exceptions.SSLError:
        return Finding("external side", Level.FAIL, "its certificate is not trusted", "--ca-file CA.crt")
    except requests.RequestException as error:
        advice = "iirp external status, on the machine where it runs"
        return Finding("external side", Level.FAIL, f"{url}: {type(error).__name__}", advice)
    if answer.status_code != 200:
        advice = "iirp external logs analysis"
        return Finding("external side", Level.FAIL, f"{url} answers {answer.status_code}", advice)
    return Finding("external side", Level.OK, url)

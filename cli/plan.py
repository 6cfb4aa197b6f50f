"""`iirp plan`: who else writes what a plan changes, and the change as a manifest patch for Git."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.errors import plain_errors
from cli.options import KUBECONFIG, OUTPUT

if TYPE_CHECKING:
    from controllers.arbitration.model import Subject
    from controllers.arbitration.patch import Patch
    from controllers.kube.api import Kube
    from crds.v1alpha1.actionplan import ActionPlan, FieldWriter
    from crds.v1alpha1.actions import Action

__all__ = ["plan"]

NAME = click.argument("name", metavar="PLAN")
NAMESPACE = click.option("-n", "--namespace", default="", help="Default: that of the current kubectl context.")
ARGOCD = click.option("--argocd-namespace", default="argocd", show_default=True, help="Where Applications live.")


@click.group()
def plan() -> None:
    """Look at an ActionPlan's change from the side of Git and autoscalers, with your own credentials."""


@plan.command()
@NAME
@NAMESPACE
@ARGOCD
@KUBECONFIG
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write it there; else print it.")
@click.option("--format", "form", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True, help="Form.")
def patch(
    name: str, namespace: str, argocd_namespace: str, kubeconfig: Path | None, output: Path | None, form: str
) -> None:
    """Print the change of PLAN as a patch to commit.

    The patch is aimed at whoever holds the field: the workload's manifest, or the autoscaler's. kustomize takes it
    under `patches:`, and `kubectl patch --patch-file` tries it out. Nothing is applied.
    """
    from controllers.arbitration.patch import patches

    found, subjects = _subjects(name, namespace, argocd_namespace, kubeconfig)
    now = datetime.datetime.now(datetime.UTC)
    made = [(s, one) for s, template in subjects for one in patches(s, now, template)]
    if not made:
        raise click.ClickException(f"{name} changes nothing that a manifest could say: {found.spec.summary}")
    text = _json(made) if form == "json" else _yaml(found, made)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{output}: {error.strerror}") from error
    click.echo(f"{output}: {len(made)} patch{'es' if len(made) > 1 else ''}")


@plan.command()
@NAME
@NAMESPACE
@ARGOCD
@KUBECONFIG
@OUTPUT
def writers(name: str, namespace: str, argocd_namespace: str, kubeconfig: Path | None, output: str) -> None:
    """Show who else writes the fields that PLAN changes, as it is now."""
    from controllers.arbitration.decide import arbitrate

    _, subjects = _subjects(name, namespace, argocd_namespace, kubeconfig)
    rows = [writer for subject, _ in subjects for writer in arbitrate(subject)]
    if output == "json":
        click.echo(json.dumps([row.to_wire() for row in rows], indent=2))
        return
    if not rows:
        click.echo("the plan changes no field of a shared object")
    for row in rows:
        sure = "" if row.certain else " (not certain)"
        click.echo(f"{row.field}  {row.mode.value}{sure}  {row.writer or '-'}\n    {row.message}")


@plain_errors()
def _subjects(
    name: str, namespace: str, argocd: str, kubeconfig: Path | None
) -> tuple[ActionPlan, list[tuple[Subject, dict[str, Any] | None]]]:
    """The plan, and each action with its live target, what surrounds it, and the pod template of a rollback."""
    from controllers.arbitration.gather import look
    from controllers.kube.client import connect
    from crds.v1alpha1.actionplan import ActionPlan

    kube = connect(kubeconfig)
    where = namespace or _context_namespace(kubeconfig)
    found = kube.find(ActionPlan, where, name)
    if found is None:
        raise click.ClickException(f"there is no ActionPlan {name} in namespace {where}; -n says where to look")
    result: list[tuple[Subject, dict[str, Any] | None]] = []
    for action in found.spec.actions:
        live, template = _live(kube, where, action)
        result.append((look(kube, action, live, argocd), template))
    return found, result


def _live(kube: Kube, namespace: str, action: Action) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The target, and the pod template that a rollback goes back to."""
    from controllers.kube.targets import read_target
    from crds.v1alpha1.digest import RELATED

    live = read_target(kube, namespace, action, "iirp-system")
    if live is None:
        raise click.ClickException(f"{action.target.short()} is gone from namespace {namespace}")
    kept = live[RELATED].get("replicaSet")
    if action.rollback is not None and kept is None:
        raise click.ClickException(f"{action.target.short()} has no revision {action.rollback.replica_set} any more")
    return live, kept["spec"]["template"] if kept is not None else None


def _context_namespace(kubeconfig: Path | None) -> str:
    """As kubectl chooses it."""
    from kubernetes.config import ConfigException, list_kube_config_contexts

    try:
        _, current = list_kube_config_contexts(str(kubeconfig) if kubeconfig else None)  # type: ignore[no-untyped-call]
    except (ConfigException, TypeError):
        return "default"
    return str((current or {}).get("context", {}).get("namespace") or "default")


def _yaml(found: ActionPlan, made: list[tuple[Subject, Patch]]) -> str:
    from controllers.arbitration.decide import arbitrate
    from crds.definition import to_yaml

    parts = []
    for subject, one in made:
        heads = [f"{subject.action.describe()}: plan {found.metadata.name} in {found.metadata.namespace}"]
        heads += [f"{_word(writer)}: {writer.message}" for writer in arbitrate(subject)]
        comments = "".join(f"# {_line(text)}\n" for text in (*heads, *one.notes))
        parts.append(comments + to_yaml(one.body))
    return "---\n".join(parts)


def _json(made: list[tuple[Subject, Patch]]) -> str:
    from controllers.arbitration.decide import arbitrate

    rows = [
        {"patch": one.body, "notes": list(one.notes), "writers": [writer.to_wire() for writer in arbitrate(subject)]}
        for subject, one in made
    ]
    return json.dumps(rows, indent=2) + "\n"


def _word(writer: FieldWriter) -> str:
    return f"{writer.field} {writer.mode.value}" + ("" if writer.certain else " (not certain)")


def _line(text: str) -> str:
    """Names in it are somebody else's; a comment must stay one."""
    return "".join(char if char.isprintable() else " " for char in text)

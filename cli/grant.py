"""`iirp grant`: opt a namespace in to actions, as YAML to commit; nothing is applied."""

from __future__ import annotations

import re

import click

__all__ = ["grant"]

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@click.command()
@click.argument("namespaces", metavar="NAMESPACE...", nargs=-1, required=True)
@click.option("--platform-namespace", default="iirp-system", show_default=True, help="Where the platform runs.")
@click.option(
    "--actions", default="", metavar="TYPE,...",
    help="Only what these types of actions need, for example RestartDeployment,Rollback. Without it: all.",
)  # fmt: skip
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True, help="Form.")
def grant(namespaces: tuple[str, ...], platform_namespace: str, actions: str, output: str) -> None:
    """Print the RoleBindings that let the executor act in NAMESPACE, each action once it is approved.

    Without them the executor can touch nothing there. Commit the output, or pipe it to `kubectl apply -f -`.
    """
    import json

    from crds.definition import to_yaml
    from crds.v1alpha1.actions import ActionType
    from rbac.grant import namespace_bindings

    wanted = [part.strip() for part in actions.split(",") if part.strip()]
    known = [kind.value for kind in ActionType]
    if unknown := [word for word in wanted if word not in known]:
        raise click.UsageError(f"{', '.join(unknown)}: no such type of action; known are {', '.join(known)}")

    for name in (*namespaces, platform_namespace):
        if not _LABEL.fullmatch(name):
            raise click.UsageError(f"{name!r} is not a namespace name (lower-case letters, digits, '-'; at most 63)")
    bindings = [
        item for name in dict.fromkeys(namespaces) for item in namespace_bindings(name, platform_namespace, wanted)
    ]
    if output == "json":
        click.echo(json.dumps({"apiVersion": "v1", "kind": "List", "items": bindings}, indent=2))
    else:
        click.echo("---\n".join(to_yaml(item) for item in bindings), nl=False)

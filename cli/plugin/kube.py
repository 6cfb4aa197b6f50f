"""The API server through the person's own kubectl: every kind of kubeconfig and sign-in works as they are used to."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["INCIDENT_LABEL", "Chain", "Kubectl", "PluginError", "labelled"]

INCIDENT_LABEL = "iirp.io/incident"
_TIMEOUT = 60.0
_KLOG = re.compile(r"[IWEF][0-9]{4} ")
"""kubectl's log of its own retries; the answer itself comes last."""

Body = dict[str, Any]


class PluginError(Exception):
    """What went wrong, in words for the person, and the exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Chain:
    """An incident and what belongs to it; newest plan and approval first. All as plain objects."""

    incident: Body
    reports: tuple[Body, ...]
    plans: tuple[Body, ...]
    approvals: tuple[Body, ...]


class Kubectl:
    """Runs kubectl with the flags that say which cluster, as whom, and where."""

    def __init__(self, flags: Sequence[str], env: Mapping[str, str] = os.environ) -> None:
        self._flags = list(flags)
        self._env = env

    def command(self, *arguments: str) -> list[str]:
        """The whole command line, for who runs it otherwise."""
        return [self._program(), *arguments[:1], *self._flags, *arguments[1:]]

    def run(self, *arguments: str, stdin: str = "") -> str:
        """Standard output. Raises PluginError with what the API server said."""
        command = self.command(*arguments)
        try:
            done = subprocess.run(
                command, input=stdin, capture_output=True, text=True, timeout=_TIMEOUT, check=False, env=dict(self._env)
            )
        except subprocess.TimeoutExpired as error:
            raise PluginError(f"kubectl {arguments[0]}: no answer within {_TIMEOUT:.0f} s") from error
        if done.returncode != 0:
            raise PluginError(_said(done.stderr), done.returncode)
        return done.stdout

    def stream(self, *arguments: str) -> int:
        """Run kubectl on this terminal; its exit code."""
        return subprocess.run(self.command(*arguments), check=False, env=dict(self._env)).returncode

    def items(self, plural: str, *selectors: str) -> list[Body]:
        """Objects of a kind, oldest first."""
        answer = json.loads(self.run("get", f"{plural}.iirp.io", *selectors, "-o", "json"))
        return sorted(answer["items"], key=lambda body: (body["metadata"].get("creationTimestamp", ""), _name(body)))

    def get(self, plural: str, name: str) -> Body:
        """One object."""
        body: Body = json.loads(self.run("get", f"{plural}.iirp.io", name, "-o", "json"))
        return body

    def chain(self, name: str) -> Chain:
        """An incident with its reports, plans and approvals. Kinds that may not be read are left out."""
        incident = self.get("incidents", name)
        found = [self._children(plural, name) for plural in ("rcareports", "actionplans", "approvals")]
        return Chain(incident, *(tuple(reversed(bodies)) for bodies in found))

    def _children(self, plural: str, name: str) -> list[Body]:
        try:
            return self.items(plural, "-l", f"{INCIDENT_LABEL}={name}")
        except PluginError as error:
            if "forbidden" in str(error).lower():
                return []
            raise

    def _program(self) -> str:
        beside = Path(sys.executable).with_name("kubectl")
        found = shutil.which("kubectl", path=self._env.get("PATH")) or (str(beside) if beside.exists() else None)
        if found is None:
            raise PluginError("kubectl is not on the PATH: see https://kubernetes.io/docs/tasks/tools")
        return found


def labelled(body: Body) -> str:
    """The incident that an object belongs to."""
    return str(body["metadata"].get("labels", {}).get(INCIDENT_LABEL, ""))


def _name(body: Body) -> str:
    return str(body["metadata"]["name"])


def _said(stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if not _KLOG.match(line)]
    text = "\n".join(lines).strip().removeprefix("error: ").removeprefix("Error from server ")
    return text or "kubectl failed without a message"

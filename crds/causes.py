"""docs/reference/causes.md: every cause that a report can name, from the files that the server reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

_HEAD = """\
<!-- Generated from config/causes by `python -m crds.generate`; do not edit. -->
# Causes

What a report can name as the cause of an incident: what shows it (log-odds of a yes), what rules it out, and which
action it may recommend. How they are ranked, and what the words of the files mean, is in
[Root causes](../root-causes.md).
"""


def causes_reference(directory: Path) -> str:
    """The whole page; files in order of their names, causes in order of the file."""
    files = {path.name: yaml.safe_load(path.read_text("utf-8"))["causes"] for path in sorted(directory.glob("*.yaml"))}
    return "\n".join([_HEAD, *_table(files), "", *(line for each in files.items() for line in _details(*each))]) + "\n"


def _table(files: Mapping[str, list[dict[str, Any]]]) -> Iterable[str]:
    yield "| cause | in words | of incidents and signals | action |"
    yield "| --- | --- | --- | --- |"
    for cause in (one for causes in files.values() for one in causes):
        kind = cause["kind"]
        actions = ", ".join(dict.fromkeys(one["type"] for one in cause.get("actions", ())))
        yield f"| [`{kind}`](#{kind.lower()}) | {cause['name']} | {', '.join(cause['explains'])} | {actions} |"


def _details(file: str, causes: list[dict[str, Any]]) -> Iterable[str]:
    yield f"## `config/causes/{file}`\n"
    for cause in causes:
        yield f"### {cause['kind']}\n"
        yield f"{' '.join(cause['explanation'].split())}\n"
        weights = sorted(cause["weights"].items(), key=lambda item: (-item[1], item[0]))
        shown = ", ".join(f"`{name}` ({weight})" for name, weight in weights)
        yield f"Shown by {shown}; nothing without `{cause['requires']}`. Ruled out\n"
        yield from (f"- {_refuter(one)}" for one in cause["refuters"])
        yield ""


def _refuter(refuter: Mapping[str, str]) -> str:
    answer = "is not seen" if refuter.get("when") == "no" else "is seen"
    unless = f", unless `{refuter['unless']}`" if "unless" in refuter else ""
    return f"where `{refuter['probe']}` {answer}{unless}: {refuter['claim']}"

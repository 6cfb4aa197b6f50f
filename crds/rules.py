"""docs/reference/rules.md: every detection rule with its numbers, from the files that the server reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

_HEAD = """\
<!-- Generated from config/rules by `python -m crds.generate`; do not edit. -->
# Detection rules

What each word means is in `analysis/detect/rules.py`; how to change a rule for some namespaces, and how to try it, is
in [Detection](../detection.md).
"""
_SHOWN = ("name", "type", "severity", "detector", "description")


def rules_reference(directory: Path) -> str:
    """The whole page; files in order of their names, rules in order of the file."""
    files = {path.name: yaml.safe_load(path.read_text("utf-8"))["rules"] for path in sorted(directory.glob("*.yaml"))}
    return "\n".join([_HEAD, *_table(files), "", *(line for each in files.items() for line in _numbers(*each))]) + "\n"


def _table(files: dict[str, list[dict[str, Any]]]) -> Iterable[str]:
    yield "| rule | type | severity | detector | fires when |"
    yield "| --- | --- | --- | --- | --- |"
    for rules in files.values():
        for rule in rules:
            words = [" ".join(str(rule[key]).split()) for key in _SHOWN]
            yield f"| [`{words[0]}`](#{words[0]}) | {' | '.join(words[1:])} |"


def _numbers(file: str, rules: list[dict[str, Any]]) -> Iterable[str]:
    yield f"## `config/rules/{file}`\n"
    for rule in rules:
        yield f"### {rule['name']}\n"
        rest = {key: value for key, value in rule.items() if key not in _SHOWN}
        yield "```yaml"
        yield yaml.safe_dump(rest, sort_keys=False, default_flow_style=None, width=140).rstrip()
        yield "```\n"

"""Finds and reads scenario files, and says in words what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import yaml
from pydantic import ValidationError

from demo.driver.errors import DemoFailed
from demo.scenario.model import Scenario

__all__ = ["FOLDER", "choose", "known", "read"]

FOLDER = Path(__file__).resolve().parent.parent / "scenarios"
_ALL = ("faults", "calm")
_GROUPS = (*_ALL, "misconfigured", "verdicts", "robustness")
_MAX_SIZE = 1 << 20


def known(folder: Path = FOLDER) -> dict[str, Scenario]:
    """All scenarios that come with the project, by name, in the order in which they are told."""
    found = [read(path) for path in sorted(folder.glob("*.yaml"))]
    return {scenario.name: scenario for scenario in found}


def choose(names: Iterable[str], scenarios: dict[str, Scenario]) -> list[Scenario]:
    """By name, by group (`faults`, `calm`, `misconfigured`, …), or `all` (the first two). DemoFailed else."""
    chosen: dict[str, Scenario] = {}
    for name in names:
        groups = _ALL if name == "all" else (name,)
        found = [item for item in scenarios.values() if item.name == name or item.group in groups]
        if not found:
            raise DemoFailed(
                "choosing scenarios",
                f"no scenario {name!r}; there are {', '.join(scenarios)}; groups: all, {', '.join(_GROUPS)}",
                "iirp demo --scenarios, or --scenario-file FILE for your own",
            )
        chosen |= {item.name: item for item in found}
    return list(chosen.values())


def read(path: Path) -> Scenario:
    """One file. DemoFailed names the file, the place in it and what is wrong there."""
    try:
        if path.stat().st_size > _MAX_SIZE:
            raise DemoFailed(f"scenario {path}", "is larger than 1 MiB")
        data = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DemoFailed(f"scenario {path}", f"cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(data, dict):
        raise DemoFailed(f"scenario {path}", "is not a mapping", "docs/scenarios.md shows one")
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        raise DemoFailed(f"scenario {path}", _problems(error), "docs/scenarios.md lists the keys") from error


def _problems(error: ValidationError) -> str:
    lines = []
    for item in error.errors():
        place = ".".join(str(part) for part in item["loc"]) or "the file"
        message = "unknown key" if item["type"] == "extra_forbidden" else item["msg"].removeprefix("Value error, ")
        lines.append(f"{place}: {message}")
    return "; ".join(lines)

"""What `iirp demo --scenario` does with its options; kept apart so that `iirp --help` imports nothing of it."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from pathlib import Path

import click
from rich.table import Table

from demo.driver.tell import Teller
from demo.scenario.load import choose, known, read
from demo.scenario.model import Scenario
from demo.scenario.perform import Options, existing_ground, own_ground, perform
from demo.scenario.suite import Ground

__all__ = ["Options", "chosen", "ground", "run", "show"]


def show(teller: Teller, output: str) -> None:
    """The scenarios that come with the project."""
    if output == "json":
        told = [
            {"name": one.name, "group": one.group, "title": one.title, "expected": _expected(one)}
            for one in known().values()
        ]
        click.echo(json.dumps(told, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "group", "what happens", "expected"):
        table.add_column(heading, no_wrap=heading != "what happens")
    for item in known().values():
        table.add_row(item.name, item.group, item.title, _expected(item))
    teller.console.print(table, soft_wrap=False)


def chosen(names: str, files: Sequence[Path]) -> list[Scenario]:
    """By name and by file. DemoFailed when one is not there or not valid."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    return [*(choose(wanted, known()) if wanted else []), *(read(path) for path in files)]


def ground(
    name: str, values: Sequence[Path], kubeconfig: Path | None, shop_image: str, platform_namespace: str
) -> Ground:
    """The cluster that was named, or our own of that name."""
    if kubeconfig is not None:
        return existing_ground(kubeconfig, shop_image, platform_namespace)
    return own_ground(name, values)


def run(on: Ground, scenarios: Sequence[Scenario], options: Options, teller: Teller) -> bool:
    """True when everything passed. SIGTERM ends it as Ctrl-C does: what runs cleans up first."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return perform(on, scenarios, options, teller)


def _expected(scenario: Scenario) -> str:
    expect = scenario.expect
    if expect.none is not None:
        return f"no incident for {expect.none / 60:g} min"
    return ", ".join(f"{' or '.join(item.type)} {item.target[0]}" for item in expect.incidents)

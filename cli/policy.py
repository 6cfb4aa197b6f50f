"""`iirp policy`: test policies before they are committed, and hold changed ones against the past."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from controllers.policy.casefile import CaseFile
    from controllers.policy.validity import PolicyEntry

__all__ = ["policy"]

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def policy() -> None:
    """Test ActionPolicies, and hold them against the past."""


@policy.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@click.option("-v", "--verbose", is_flag=True, help="Say of each case which rules spoke, and which did not and why.")
def test(files: tuple[Path, ...], verbose: bool) -> None:
    """Run policy test files. Exits 1 when a case comes out otherwise, or a policy is not valid."""
    from controllers.policy.casefile import run

    failed = total = 0
    for file in files:
        cases = _cases(file)
        entries = read_policies(tuple(file.parent / name for name in cases.policies))
        for result in run(cases.tests, entries):
            total += 1
            failed += bool(result.differences)
            click.echo(f"{'FAIL' if result.differences else 'ok  '}  {file.name}: {result.name}")
            for line in result.differences:
                click.echo(f"      {line}")
            for rule in result.ruling.rules if verbose else ():
                said = rule.tier.value if rule.matched else "-"
                click.echo(f"      {rule.policy}/{rule.rule}: {said}: {rule.message}")
    click.echo(f"{total - failed} of {total} cases as expected")
    if failed:
        raise click.exceptions.Exit(1)


@policy.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@click.option("-o", "output", type=click.Choice(["text", "json"]), default="text")
def lint(files: tuple[Path, ...], output: str) -> None:
    """Say what is wrong with the ActionPolicies of files, CEL conditions included. Exits 1 when anything is."""
    entries = [(file, entry) for file in files for entry in _entries(file)]
    for file, entry in entries:
        if output == "json":
            click.echo(json.dumps({"file": str(file), "policy": entry.name, "problems": entry.problems}))
            continue
        click.echo(f"{'ok  ' if entry.valid else 'FAIL'}  {file}: {entry.name}")
        for problem in entry.problems:
            click.echo(f"      {problem}")
    if not all(entry.valid for _, entry in entries):
        raise click.exceptions.Exit(1)


@policy.command()
@click.option("--since", default="90d", show_default=True, help="How far back: 90d, 12h, 2w.")
@click.option("--policies", "-p", multiple=True, required=True, type=FILE, help="The changed ActionPolicies.")
@click.option("--from", "exported", multiple=True, type=FILE, help="Exported objects, instead of the cluster.")
@click.option("--all", "everything", is_flag=True, help="List the plans that stay the same too.")
@click.option("-o", "output", type=click.Choice(["text", "json"]), default="text")
def backtest(since: str, policies: tuple[Path, ...], exported: tuple[Path, ...], everything: bool, output: str) -> None:
    """Say what changed policies would have done differently, and how those plans ended.

    Export with: kubectl get namespaces,incidents,actionplans -A -o json
    """
    from cli.objects import load
    from controllers.policy.backtest import backtest as compare
    from controllers.policy.backtest import summary

    start = datetime.datetime.now(datetime.UTC) - _span(since)
    entries, found = read_policies(policies), load(exported)
    rows = compare(found.plans, {i.metadata.uid: i for i in found.incidents}, found.namespaces, entries, start)
    shown = [row for row in rows if everything or row.change in ("stricter", "looser")]
    if output == "json":
        fields = ("plan", "action", "change", "why", "ended")
        for row in shown:
            tiers = {"was": row.was.value, "now": row.now.value if row.now is not None else None}
            click.echo(json.dumps({"at": row.at.isoformat(), **tiers, **{name: getattr(row, name) for name in fields}}))
        return
    for row in shown:
        now = row.now.value if row.now is not None else "not judged"
        click.echo(f"{row.at:%Y-%m-%d %H:%M}Z  {row.plan}  {row.action}")
        click.echo(f"    {row.was.value} -> {now}: {row.why}")
        click.echo(f"    ended {row.ended}")
    click.echo(summary(rows))


def read_policies(paths: tuple[Path, ...]) -> tuple[PolicyEntry, ...]:
    """All ActionPolicies of the files.

    Raises:
        click.ClickException: one is not valid, or a file holds none.
    """
    entries = [entry for path in paths for entry in _entries(path)]
    problems = [f"policy {entry.name}: {problem}" for entry in entries for problem in entry.problems]
    if problems:
        raise click.ClickException("; ".join(problems))
    return tuple(entries)


def _entries(path: Path) -> list[PolicyEntry]:
    """The ActionPolicies of one file, readable or not."""
    from cli.objects import documents
    from controllers.policy.validity import read_policy

    if not path.is_file():
        raise click.ClickException(f"{path}: no such file")
    found = [item for item in documents(path) if item.get("kind") == "ActionPolicy"]
    if not found:
        raise click.ClickException(f"{path}: no ActionPolicy in it")
    return [read_policy(item) for item in found]


def _cases(file: Path) -> CaseFile:
    import yaml
    from pydantic import ValidationError

    from controllers.policy.casefile import CaseFile

    try:
        return CaseFile.model_validate(yaml.safe_load(file.read_text()))
    except yaml.YAMLError as error:
        raise click.ClickException(f"{file}: {error}") from error
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:5])
        raise click.ClickException(f"{file}: {told}") from error


def _span(text: str) -> datetime.timedelta:
    units = {"h": "hours", "d": "days", "w": "weeks"}
    if not (text[:-1].isdigit() and text[-1:] in units):
        raise click.UsageError(f"--since: {text!r} is not a span such as 90d, 12h or 2w")
    return datetime.timedelta(**{units[text[-1]]: int(text[:-1])})

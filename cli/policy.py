"""`iirp policy`: test policies before they are committed, and hold changed ones against the past."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import FILE, KUBECONFIG, OUTPUT, moment

if TYPE_CHECKING:
    from controllers.policy.backtest import Comparison
    from controllers.policy.casefile import CaseFile, Result
    from controllers.policy.validity import PolicyEntry

__all__ = ["policy"]


@click.group()
def policy() -> None:
    """Test ActionPolicies, and hold them against the past."""


@policy.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@click.option("-v", "--verbose", is_flag=True, help="Say of each case which rules spoke, and which did not and why.")
@OUTPUT
def test(files: tuple[Path, ...], verbose: bool, output: str) -> None:
    """Run policy test files. Exits 1 when a case comes out otherwise, or a policy is not valid."""
    from controllers.policy.casefile import run

    results: list[tuple[Path, Result]] = []
    for file in files:
        cases = _cases(file)
        entries = read_policies(tuple(file.parent / name for name in cases.policies))
        results += [(file, result) for result in run(cases.tests, entries)]
    if output == "json":
        told = [{"file": str(file), "test": one.name, "differences": list(one.differences)} for file, one in results]
        click.echo(json.dumps(told, indent=2))
    else:
        _print_results(results, verbose=verbose)
    if any(result.differences for _, result in results):
        raise click.exceptions.Exit(1)


def _print_results(results: list[tuple[Path, Result]], *, verbose: bool) -> None:
    for file, result in results:
        click.echo(f"{'FAIL' if result.differences else 'ok  '}  {file.name}: {result.name}")
        for line in result.differences:
            click.echo(f"      {line}")
        for rule in result.ruling.rules if verbose else ():
            said = rule.tier.value if rule.matched else "-"
            click.echo(f"      {rule.policy}/{rule.rule}: {said}: {rule.message}")
    good = sum(not result.differences for _, result in results)
    click.echo(f"{good} of {len(results)} cases as expected")


@policy.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@OUTPUT
def lint(files: tuple[Path, ...], output: str) -> None:
    """Say what is wrong with the ActionPolicies of files, CEL conditions included. Exits 1 when anything is."""
    entries = [(file, entry) for file in files for entry in _entries(file)]
    if output == "json":
        told = [{"file": str(file), "policy": entry.name, "problems": entry.problems} for file, entry in entries]
        click.echo(json.dumps(told, indent=2))
    for file, entry in entries if output == "text" else ():
        click.echo(f"{'ok  ' if entry.valid else 'FAIL'}  {file}: {entry.name}")
        for problem in entry.problems:
            click.echo(f"      {problem}")
    if not all(entry.valid for _, entry in entries):
        raise click.exceptions.Exit(1)


@policy.command()
@click.option("--since", type=moment, default="90d", show_default=True, help="Since then: 90d, 12h, RFC 3339.")
@click.option("--policies", "-p", multiple=True, required=True, type=FILE, help="The changed ActionPolicies.")
@click.option("--from", "exported", multiple=True, type=FILE, help="Exported objects, instead of the cluster.")
@click.option("--all", "everything", is_flag=True, help="List the plans that stay the same too.")
@KUBECONFIG
@OUTPUT
def backtest(
    since: datetime, policies: tuple[Path, ...], exported: tuple[Path, ...], everything: bool,
    kubeconfig: Path | None, output: str,
) -> None:  # fmt: skip
    """Say what changed policies would have done differently, and how those plans ended.

    Export with: kubectl get namespaces,incidents,actionplans -A -o json
    """
    from cli.objects import load
    from controllers.policy.backtest import backtest as compare
    from controllers.policy.backtest import summary

    entries, found = read_policies(policies), load(exported, kubeconfig)
    rows = compare(found.plans, {i.metadata.uid: i for i in found.incidents}, found.namespaces, entries, since)
    shown = [row for row in rows if everything or row.change in ("stricter", "looser")]
    if output == "json":
        click.echo(json.dumps([_wire(row) for row in shown], indent=2))
        return
    for row in shown:
        now = row.now.value if row.now is not None else "not judged"
        click.echo(f"{row.at:%Y-%m-%d %H:%M}Z  {row.plan}  {row.action}")
        click.echo(f"    {row.was.value} -> {now}: {row.why}")
        click.echo(f"    ended {row.ended}")
    click.echo(summary(rows))


def _wire(row: Comparison) -> dict[str, str | None]:
    tiers = {"was": row.was.value, "now": row.now.value if row.now is not None else None}
    fields = ("plan", "action", "change", "why", "ended")
    return {"at": row.at.isoformat(), **tiers, **{name: getattr(row, name) for name in fields}}


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
    return [read_policy(item, as_written=True) for item in found]


def _cases(file: Path) -> CaseFile:
    from pydantic import ValidationError

    from cli.objects import yaml_documents
    from controllers.policy.casefile import CaseFile

    found = yaml_documents(file)
    if len(found) != 1:
        raise click.ClickException(f"{file}: holds {len(found)} YAML documents, need exactly one")
    try:
        return CaseFile.model_validate(found[0])
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:5])
        raise click.ClickException(f"{file}: {told}") from error

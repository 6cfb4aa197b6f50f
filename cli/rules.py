"""`iirp rules`: the rules that say when something is a fault, and their tests."""

from __future__ import annotations

import json
from pathlib import Path

import click

from cli.options import FILE, OUTPUT

__all__ = ["rules"]


@click.group()
def rules() -> None:
    """When something is a fault: rules as data, and their tests."""


@rules.command()
@click.argument("files", nargs=-1, type=FILE)
@click.option(
    "--rules",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of rule files. Default: the rules that are shipped.",
)
@OUTPUT
def test(files: tuple[Path, ...], folder: Path | None, output: str) -> None:
    """Run rule tests: FILES, or tests/*.yaml in the rules' folder. Exit 1 when one fails."""
    from analysis.config import DATA_ROOT
    from analysis.configfile import ConfigError
    from analysis.detect.check import check, load_cases
    from analysis.detect.rulebook import load_rules

    folder = folder or DATA_ROOT / "rules"
    files = files or tuple(sorted((folder / "tests").glob("*.yaml")))
    if not files:
        raise click.UsageError(f"no tests: name files, or put them into {folder / 'tests'}")
    try:
        loaded = load_rules(folder)
        results = [(file.name, case.name, check(loaded, case)) for file in files for case in load_cases(file).tests]
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    if output == "json":
        told = [{"file": file, "test": name, "problems": list(wrong)} for file, name, wrong in results]
        click.echo(json.dumps(told, indent=2))
    for file, name, wrong in results if output == "text" else ():
        click.echo(f"{'FAIL' if wrong else 'ok  '} {file}: {name}")
        for line in wrong:
            click.echo(f"       {line}")
    failed = sum(bool(wrong) for _, _, wrong in results)
    if output == "text":
        click.echo(f"{len(results) - failed} passed, {failed} failed")
    if failed:
        raise click.exceptions.Exit(1)


@rules.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@OUTPUT
def check(files: tuple[Path, ...], output: str) -> None:
    """Say whether FILES (or whole folders) can be used as rules, and what is in them. Exit 1 when one cannot.

    A running server takes a changed file within seconds, and keeps the rules before it when it cannot use it.
    """
    found = [(path, *_rules_in(path)) for path in files]
    if output == "json":
        told = [{"path": str(path), "problem": problem, "holds": holds} for path, problem, holds in found]
        click.echo(json.dumps(told, indent=2))
    for path, problem, holds in found if output == "text" else ():
        click.echo(f"FAIL {problem}" if problem else f"ok   {path}: {holds}")
    if any(problem for _, problem, _ in found):
        raise click.exceptions.Exit(1)


def _rules_in(path: Path) -> tuple[str, str]:
    """What is wrong with a file or folder of rules, else what it holds."""
    from analysis.configfile import ConfigError, read_yaml
    from analysis.detect.rulebook import RuleFile, load_rules

    try:
        if path.is_dir():
            loaded = load_rules(path)
            return "", f"{len(loaded.rules)} rules, version {loaded.version}"
        file, _ = read_yaml(path, RuleFile)
    except ConfigError as error:
        return str(error), ""
    names = ", ".join(f"{rule.name} ({rule.type})" for rule in file.rules)
    return "", f"{len(file.rules)} rules, {len(file.overrides)} overrides{': ' if names else ''}{names}"

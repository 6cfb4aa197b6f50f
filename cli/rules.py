"""`iirp rules`: the rules that say when something is a fault, and their tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.options import FILE, OUTPUT

if TYPE_CHECKING:
    from analysis.detect.rulebook import RuleFile

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

    A folder stands by itself. A file is seen beside the other FILES and the rules that are shipped, so it may hold
    overrides of either. A running server takes a changed file within seconds, and keeps the rules before it when it
    cannot use it.
    """
    read = {path: _read(path) for path in files if not path.is_dir()}
    found = [(path, *(_folder(path) if path.is_dir() else _file(path, read))) for path in files]
    if output == "json":
        told = [{"path": str(path), "problem": problem, "holds": holds} for path, problem, holds in found]
        click.echo(json.dumps(told, indent=2))
    for path, problem, holds in found if output == "text" else ():
        click.echo(f"FAIL {problem}" if problem else f"ok   {path}: {holds}")
    if any(problem for _, problem, _ in found):
        raise click.exceptions.Exit(1)


def _read(path: Path) -> RuleFile | str:
    """A file of rules, or what is wrong with it."""
    from analysis.configfile import ConfigError, read_yaml
    from analysis.detect.rulebook import RuleFile

    try:
        return read_yaml(path, RuleFile)[0]
    except ConfigError as error:
        return str(error)


def _file(path: Path, read: Mapping[Path, RuleFile | str]) -> tuple[str, str]:
    """What is wrong with a file of rules beside those that were ``read`` and those that are shipped, else what it
    holds."""
    from analysis.config import DATA_ROOT
    from analysis.configfile import ConfigError
    from analysis.detect.rulebook import assemble, load_rules

    file = read[path]
    if isinstance(file, str):
        return file, ""
    others = [one for other, one in read.items() if other != path and not isinstance(one, str)]
    given = [*file.rules, *(rule for one in others for rule in one.rules)]
    names = {rule.name for rule in given}
    try:
        shipped = load_rules(DATA_ROOT / "rules").rules if {one.rule for one in file.overrides} - names else ()
        assemble([*given, *(rule for rule in shipped if rule.name not in names)], file.overrides, path)
    except ConfigError as error:
        return str(error), ""
    held = ", ".join(f"{rule.name} ({rule.type})" for rule in file.rules)
    return "", f"{len(file.rules)} rules, {len(file.overrides)} overrides{': ' if held else ''}{held}"


def _folder(path: Path) -> tuple[str, str]:
    """What is wrong with a folder of rules, else what it holds."""
    from analysis.configfile import ConfigError
    from analysis.detect.rulebook import load_rules

    try:
        loaded = load_rules(path)
    except ConfigError as error:
        return str(error), ""
    return "", f"{len(loaded.rules)} rules, version {loaded.version}"

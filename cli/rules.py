"""`iirp rules`: the rules that say when something is a fault, and their tests."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["rules"]


@click.group()
def rules() -> None:
    """When something is a fault: rules as data, and their tests."""


@rules.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--rules",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of rule files. Default: the rules that are shipped.",
)
def test(files: tuple[Path, ...], folder: Path | None) -> None:
    """Run rule tests: FILES, or tests/*.yaml in the rules' folder. Exit 1 when one fails."""
    from analysis.config import DATA_ROOT, ConfigError
    from analysis.detect.check import check, load_cases
    from analysis.detect.rulebook import load_rules

    folder = folder or DATA_ROOT / "rules"
    files = files or tuple(sorted((folder / "tests").glob("*.yaml")))
    if not files:
        raise click.UsageError(f"no tests: name files, or put them into {folder / 'tests'}")
    passed, failed = 0, 0
    try:
        loaded = load_rules(folder)
        for file in files:
            for case in load_cases(file).tests:
                wrong = check(loaded, case)
                passed, failed = passed + (not wrong), failed + bool(wrong)
                click.echo(f"{'FAIL' if wrong else 'ok  '} {file.name}: {case.name}")
                for line in wrong:
                    click.echo(f"       {line}")
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{passed} passed, {failed} failed")
    if failed:
        raise click.exceptions.Exit(1)


@rules.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def check(files: tuple[Path, ...]) -> None:
    """Say whether FILES (or whole folders) can be used as rules, and what is in them. Exit 1 when one cannot.

    A running server takes a changed file within seconds, and keeps the rules before it when it cannot use it.
    """
    from analysis.config import ConfigError
    from analysis.detect.rulebook import load_rules, read_file

    bad = 0
    for path in files:
        try:
            if path.is_dir():
                loaded = load_rules(path)
                click.echo(f"ok   {path}: {len(loaded.rules)} rules, version {loaded.version}")
                continue
            file, _ = read_file(path)
            names = ", ".join(f"{rule.name} ({rule.type})" for rule in file.rules)
            click.echo(
                f"ok   {path}: {len(file.rules)} rules, {len(file.overrides)} overrides{': ' if names else ''}{names}"
            )
        except ConfigError as error:
            bad += 1
            click.echo(f"FAIL {error}")
    if bad:
        raise click.exceptions.Exit(1)

"""`iirp audit`, `iirp replay`, `iirp bundle`: is the record whole, and does it lead to the same decisions again?"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import OUTPUT

if TYPE_CHECKING:
    from controllers.audit.anchor import S3Anchor
    from controllers.audit.chain import Head, Verification

__all__ = ["audit", "bundle", "replay"]

LOGS = click.argument(
    "logs", metavar="LOG...", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path)
)  # fmt: skip


def _store(command: Callable[..., None]) -> Callable[..., None]:
    command = click.option("--endpoint", envvar="AWS_ENDPOINT_URL_S3", help="S3 store other than AWS.")(command)
    return click.option("--anchor", "anchor_url", envvar="IIRP_AUDIT_ANCHOR", help="s3://bucket/prefix.")(command)


@click.group()
def audit() -> None:
    """The hash-chained log of all decisions. LOG is a file, or a directory of them (IIRP_AUDIT_DIR)."""


@audit.command()
@LOGS
@_store
@OUTPUT
def verify(logs: tuple[Path, ...], anchor_url: str | None, endpoint: str | None, output: str) -> None:
    """Check every link, and the heads that were anchored outside.

    Exit codes: 0 whole, 1 something was changed, 3 whole as far as it goes, but no head of a log is kept there.
    """
    from controllers.audit.chain import verify as check
    from controllers.audit.segments import absent, lines_of

    store = _connect(anchor_url, endpoint)
    found_files = _logs(logs)
    heads = {name: _heads(name, store) for name in (*found_files, *absent(logs))}
    # A log that was never begun has no files and no heads; one that is gone has heads.
    begun = [(name, found_files.get(name, [])) for name in sorted(heads) if name in found_files or heads[name]]
    results = [(name, files, check(lines_of(files), heads[name])) for name, files in begun]
    if output == "json":
        click.echo(json.dumps([_wire(*one) for one in results], indent=2))
    for name, files, found in results if output == "text" else ():
        gone = found.start.seq + 1
        told = f"{found.head.seq + 1 - gone} records{f' after {gone} that retention took' if gone else ''}"
        click.echo(f"{name}.jsonl: {'whole' if found.whole else 'CHANGED'}, {told}")
        for problem in found.problems:
            click.echo(f"  {_place(problem.line, files)}: {problem.what}")
    if store is None:
        click.echo("no anchor was asked: a cut tail, or a log written anew from the start, cannot be seen", err=True)
    bare = [name for name, _, found in results if store is not None and found.head.seq >= 0 and not heads[name]]
    for name in bare:
        told = "iirp audit anchor keeps one; until then a cut tail, or a log written anew, cannot be seen"
        click.echo(f"{name}.jsonl: no head of it is kept at {anchor_url}: {told}", err=True)
    if not all(found.whole for _, _, found in results):
        raise click.exceptions.Exit(1)
    if bare:
        raise click.exceptions.Exit(3)


@audit.command()
@LOGS
@_store
def anchor(logs: tuple[Path, ...], anchor_url: str | None, endpoint: str | None) -> None:
    """Keep the head of each log outside, and those of its sealed files. Refuses to anchor a log that is not whole.

    A receipt for each sealed file (anchored/) lets retention take it when its time is over.
    """
    from controllers.audit.anchoring import FAILURES, keep_heads

    store = _connect(anchor_url, endpoint)
    if store is None:
        raise click.UsageError("--anchor s3://bucket/prefix says where")
    _logs(logs)
    try:
        for told in keep_heads(logs, store, str(anchor_url), lambda: datetime.datetime.now(datetime.UTC)):
            click.echo(told)
    except FAILURES as error:
        raise click.ClickException(str(error)) from error


@click.command()
@click.argument("incident")
@LOGS
@click.option("--namespace", "-n", default="", help="Where names of incidents repeat.")
@OUTPUT
def replay(incident: str, logs: tuple[Path, ...], namespace: str, output: str) -> None:
    """Decide everything about INCIDENT again, from the log alone. Exits 1 when any decision differs by a byte."""
    from controllers.audit.replay import replay as decide_again

    found = decide_again(_records(incident, logs, namespace))
    differing = sum(1 for item in found if item.same is False)
    if output == "json":
        told = [{"kind": one.kind, "about": one.about, "same": one.same, "note": one.note} for one in found]
        click.echo(json.dumps(told, indent=2))
    else:
        for item in found:
            word = {True: "same", False: "DIFFERS", None: "-"}[item.same]
            click.echo(f"{word:<8}{item.kind:<20}{item.about}  {item.note}")
        click.echo(f"{len(found) - differing} of {len(found)} decisions are the same")
    if differing:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("incident")
@LOGS
@click.option("--namespace", "-n", default="", help="Where names of incidents repeat.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Default: INCIDENT.tar.gz.")
def bundle(incident: str, logs: tuple[Path, ...], namespace: str, output: Path | None) -> None:
    """Write one redacted, sealed archive from which others can decide again (`iirp replay INCIDENT records.jsonl`)."""
    from cli.bundle import write

    records = _records(incident, logs, namespace)
    target = output or Path(f"{incident}.tar.gz")
    seal = write(target, incident, records)
    click.echo(f"{target}: {len(records)} decisions, sealed sha256:{seal}")


def _wire(name: str, files: list[Path], found: Verification) -> dict[str, Any]:
    problems = [{"place": _place(one.line, files), "what": one.what} for one in found.problems]
    first, records = found.start.seq + 1, found.head.seq - found.start.seq
    return {"log": name, "whole": found.whole, "first": first, "records": records, "problems": problems}


def _logs(logs: tuple[Path, ...]) -> dict[str, list[Path]]:
    from controllers.audit.segments import logs_of

    found = logs_of(logs)
    if not found:
        raise click.ClickException(f"no *.jsonl in {', '.join(map(str, logs))}")
    return found


def _place(line: int, files: list[Path]) -> str:
    """``line`` counts through all files of a log; 0 is no line of it."""
    if not line:
        return "anchor"
    for path in files:
        with path.open("rb") as file:
            count = sum(1 for _ in file)
        if line <= count:
            return f"line {line}" if len(files) == 1 else f"{path.name} line {line}"
        line -= count
    return "end"


def _heads(name: str, store: S3Anchor | None) -> list[Head]:
    from controllers.audit.anchor import AnchorError

    try:
        return store.heads(name) if store is not None else []
    except AnchorError as error:
        raise click.ClickException(str(error)) from error


def _records(incident: str, logs: tuple[Path, ...], namespace: str) -> list[Any]:
    """Of one incident, from whole logs only."""
    from controllers.audit.chain import read
    from controllers.audit.replay import of_incident
    from controllers.audit.segments import lines_of

    found = []
    for name, files in _logs(logs).items():
        try:
            found += [read(line) for line in lines_of(files)]
        except ValueError as error:
            raise click.ClickException(f"{name}.jsonl: {error}; see iirp audit verify") from error
    records = of_incident(found, incident, namespace)
    if not records:
        raise click.ClickException(f"no decision about incident {incident} in {', '.join(map(str, logs))}")
    return records


def _connect(url: str | None, endpoint: str | None) -> S3Anchor | None:
    if url is None:
        return None
    from controllers.audit.anchor import connect

    try:
        return connect(url, endpoint)
    except ValueError as error:
        raise click.UsageError(str(error)) from error

"""`iirp audit`, `iirp replay`, `iirp bundle`: is the record whole, and does it lead to the same decisions again?"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from controllers.audit.anchor import S3Anchor
    from controllers.audit.chain import Verification

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
def verify(logs: tuple[Path, ...], anchor_url: str | None, endpoint: str | None) -> None:
    """Check every link, and the heads that were anchored outside. Exits 1 when anything was changed."""
    store = _connect(anchor_url, endpoint)
    broken = 0
    for path in _files(logs):
        found = _verify(path, store)
        broken += not found.whole
        click.echo(f"{path.name}: {'whole' if found.whole else 'CHANGED'}, {found.head.seq + 1} records")
        for problem in found.problems:
            click.echo(f"  {f'line {problem.line}' if problem.line else 'anchor'}: {problem.what}")
    if store is None:
        click.echo("no anchor was asked: a cut tail, or a log written anew from the start, cannot be seen", err=True)
    if broken:
        raise click.exceptions.Exit(1)


@audit.command()
@LOGS
@_store
def anchor(logs: tuple[Path, ...], anchor_url: str | None, endpoint: str | None) -> None:
    """Keep the head of each log outside. Refuses to anchor a log that is not whole."""
    from controllers.audit.anchor import AnchorError

    store = _connect(anchor_url, endpoint)
    if store is None:
        raise click.UsageError("--anchor s3://bucket/prefix says where")
    for path in _files(logs):
        found = _verify(path, store)
        if not found.whole:
            raise click.ClickException(f"{path.name} is not whole; see iirp audit verify")
        if found.head.seq < 0:
            click.echo(f"{path.name}: empty, nothing to anchor")
            continue
        try:
            locked = store.put(path.stem, found.head, datetime.datetime.now(datetime.UTC))
        except AnchorError as error:
            raise click.ClickException(str(error)) from error
        click.echo(
            f"{path.name}: record {found.head.seq} anchored{', locked' if locked else ' (the bucket has no lock)'}"
        )


@click.command()
@click.argument("incident")
@LOGS
@click.option("--namespace", "-n", default="", help="Where names of incidents repeat.")
def replay(incident: str, logs: tuple[Path, ...], namespace: str) -> None:
    """Decide everything about INCIDENT again, from the log alone. Exits 1 when any decision differs by a byte."""
    from controllers.audit.replay import replay as decide_again

    found = decide_again(_records(incident, logs, namespace))
    for item in found:
        word = {True: "same", False: "DIFFERS", None: "-"}[item.same]
        click.echo(f"{word:<8}{item.kind:<20}{item.about}  {item.note}")
    differing = sum(1 for item in found if item.same is False)
    click.echo(f"{len(found) - differing} of {len(found)} decisions are the same")
    if differing:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("incident")
@LOGS
@click.option("--namespace", "-n", default="")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Default: INCIDENT.tar.gz.")
def bundle(incident: str, logs: tuple[Path, ...], namespace: str, output: Path | None) -> None:
    """Write one redacted, sealed archive from which others can decide again (`iirp replay INCIDENT records.jsonl`)."""
    from cli.bundle import write

    records = _records(incident, logs, namespace)
    target = output or Path(f"{incident}.tar.gz")
    seal = write(target, incident, records)
    click.echo(f"{target}: {len(records)} decisions, sealed sha256:{seal}")


def _files(logs: tuple[Path, ...]) -> list[Path]:
    found = [file for path in logs for file in (sorted(path.glob("*.jsonl")) if path.is_dir() else [path])]
    if not found:
        raise click.ClickException(f"no *.jsonl in {', '.join(map(str, logs))}")
    return found


def _lines(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        return file.readlines()


def _verify(path: Path, store: S3Anchor | None) -> Verification:
    from controllers.audit.anchor import AnchorError
    from controllers.audit.chain import verify as check

    try:
        heads = store.heads(path.stem) if store is not None else []
    except AnchorError as error:
        raise click.ClickException(str(error)) from error
    return check(_lines(path), heads)


def _records(incident: str, logs: tuple[Path, ...], namespace: str) -> list[Any]:
    """Of one incident, from whole logs only."""
    from controllers.audit.chain import read
    from controllers.audit.replay import of_incident

    found = []
    for path in _files(logs):
        try:
            found += [read(line) for line in _lines(path)]
        except ValueError as error:
            raise click.ClickException(f"{path}: {error}; see iirp audit verify") from error
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

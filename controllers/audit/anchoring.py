"""Keeps the heads of audit logs outside: `iirp audit anchor`, and the chart's CronJob, which reads the logs and can
write nothing but receipts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from controllers.audit.anchor import AnchorError, HeadStore, connect
from controllers.audit.chain import Head, Verification, verify
from controllers.audit.segments import absent, anchored, describe, leave_receipt, lines_of, logs_of, sealed
from controllers.runtime.settings import Settings

log = logging.getLogger(__name__)

LOOKS = 3
"""How often a log is read that a controller seals or prunes meanwhile."""


class NotWhole(Exception):
    """A log was changed: its head would vouch for the change."""


FAILURES = (AnchorError, NotWhole, OSError, ValueError)
"""What :func:`keep_heads` raises, with words for people."""


def keep_heads(paths: Sequence[Path], store: HeadStore, place: str, clock: Callable[[], datetime]) -> Iterator[str]:
    """Keep the head of each log, and of each sealed file that has none yet; one line of words for each.

    Logs may be written meanwhile.

    Args:
        paths: files, or directories of logs.
        place: what receipts say where the head is.

    Raises:
        AnchorError: the store could not be asked.
        NotWhole: a log is not whole; those before it are anchored.
        OSError, ValueError: a file cannot be read, or a receipt not be written, so retention will never take that file.
    """
    for name in logs_of(paths):
        heads = store.heads(name)
        files, found = _look(name, paths, heads)
        if not found.whole:
            raise NotWhole(f"{name}.jsonl is not whole: {found.problems[0].what}; see iirp audit verify")
        if found.head.seq < 0:
            yield f"{name}.jsonl: empty, nothing to anchor"
            continue
        for path in sealed(files[-1]):
            if path not in files or anchored(segment := describe(path)):
                continue
            told = _keep(store, name, segment.head, heads, clock())
            leave_receipt(segment, place, clock())
            yield f"{path.name}: sealed with {told}"
        yield f"{name}.jsonl: {_keep(store, name, found.head, heads, clock())}"
    for name in absent(paths):
        if heads := store.heads(name):
            raise NotWhole(f"{name}.jsonl is gone, and its record {heads[-1].seq} was anchored; see iirp audit verify")


def run(settings: Settings) -> int:
    """The CronJob: 0 when every head is kept, 1 when one is not, 2 without a place or a directory."""
    if settings.audit_dir is None or not settings.audit_anchor:
        log.error("IIRP_AUDIT_DIR and IIRP_AUDIT_ANCHOR say what to anchor, and where")
        return 2
    try:
        store = connect(settings.audit_anchor)
        for told in keep_heads([settings.audit_dir], store, settings.audit_anchor, lambda: datetime.now(UTC)):
            log.info(told)
    except FAILURES as error:
        log.error("not anchored: %s", error)  # noqa: TRY400  a message, not a defect
        return 1
    return 0


def _look(name: str, paths: Sequence[Path], heads: Sequence[Head]) -> tuple[list[Path], Verification]:
    """The log's files and what they say, as of one moment."""
    for _ in range(LOOKS):
        files = logs_of(paths)[name]
        try:
            # A line that is being written is none yet.
            found = verify((line for line in lines_of(files) if line.endswith(b"\n")), heads)
        except FileNotFoundError:
            continue  # pruned, or renamed because it was sealed
        if logs_of(paths)[name] == files:
            return files, found
    raise NotWhole(f"{name}.jsonl was sealed or pruned {LOOKS} times while it was read")


def _keep(store: HeadStore, name: str, head: Head, heads: Sequence[Head], now: datetime) -> str:
    if head in heads:
        return f"record {head.seq}, anchored before"
    locked = store.put(name, head, now)
    return f"record {head.seq}, anchored{', locked' if locked else ' (the bucket has no lock)'}"

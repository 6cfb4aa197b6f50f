"""Errors that a person can act on; the command line prints them without a traceback."""

from __future__ import annotations

from pathlib import Path

__all__ = ["ClusterError", "DamagedRecord", "StepFailed", "WrongArguments", "tail"]


class ClusterError(Exception):
    """Something about the machine or the request; the message says what to do."""


class WrongArguments(ClusterError):
    """The request does not fit together; on the command line a usage error."""


class DamagedRecord(ClusterError):
    """A cluster's record cannot be read; it can still be taken down."""


class StepFailed(ClusterError):
    """A step did not come to its end; carries the log file that says why."""

    def __init__(self, message: str, log: Path | None = None, lines: int = 12) -> None:
        self.log = log
        if log is not None:
            message = f"{message}\n  log: {log}\n" + "".join(f"  | {line}\n" for line in tail(log, lines))
        super().__init__(message.rstrip())


def tail(path: Path, lines: int, limit: int = 32_768) -> list[str]:
    """The last lines of a log file, reading at most `limit` bytes; empty when there is no such file."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - limit))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    return [line[:400] for line in text.splitlines()[-lines:]]

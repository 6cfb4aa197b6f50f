"""Puts the story on the terminal: coloured on a TTY, plain lines elsewhere; elapsed time in front of each."""

from __future__ import annotations

import time
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from crds.v1alpha1.incident import TimelineEntry
from demo.driver.chain import Change, printable

__all__ = ["Teller"]

_LOG_WIDTH = 180
_COLOURS = {
    "change": "magenta", "metric": "cyan", "predict": "yellow", "event": "blue", "log": "blue", "incident": "bold red",
    "rca": "green", "plan": "yellow", "policy": "yellow", "approval": "bold yellow", "action": "bold green",
    "verify": "bold green", "state": "bold",
}  # fmt: skip


class Teller:
    """Everything that is shown goes through here; text of the cluster is never read as markup."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or _console()
        self._begun = time.monotonic()
        self._fault: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the command began."""
        return time.monotonic() - self._begun

    @property
    def since_fault(self) -> float:
        """Seconds since the fault was switched on; 0 before."""
        return 0.0 if self._fault is None else time.monotonic() - self._fault

    def fault_is_on(self) -> None:
        """From here on times are counted from the fault."""
        self._fault = time.monotonic()

    def heading(self, text: str) -> None:
        """A new part of the story."""
        self.console.print()
        self.console.print(Text.assemble((f"[{clock(self.elapsed)}] ", "dim"), (text, "bold")))

    def line(self, text: str, style: str = "") -> None:
        """One line, with the time since the fault when it is on."""
        stamp = f"  +{clock(self.since_fault)}  " if self._fault is not None else "  "
        self.console.print(Text.assemble((stamp, "dim"), (printable(text), style)))

    def change(self, change: Change) -> None:
        """A state that changed, or a new line of the incident's own timeline."""
        indent = "" if change.kind == "state" else "    "
        self.line(f"{indent}{change.text}", _COLOURS.get(change.kind, ""))

    def command(self, text: str) -> None:
        """A command line, as it is run or to be run."""
        self.console.print(Text.assemble(("  $ ", "dim"), (text, "bold cyan")))

    def output(self, text: str) -> None:
        """What a command printed."""
        for line in text.rstrip().splitlines():
            self.console.print(Text("    " + line.rstrip()))

    def timeline(self, entries: Iterable[TimelineEntry]) -> None:
        """The story as the Incident itself has it: the answer to `what happened?`."""
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for column in range(3):
            table.add_column(no_wrap=column < 2)
        for entry in entries:
            style = _COLOURS.get(entry.source.value, "")
            message = printable(entry.message)
            table.add_row(Text(f"{entry.at:%H:%M:%S}", "dim"), Text(entry.source.value, style), Text(message))
        self.console.print(table, soft_wrap=False)


def _console() -> Console:
    """As wide as the terminal; a log file has no width, so nothing is broken into short lines there."""
    console = Console(highlight=False, soft_wrap=True)
    return console if console.is_terminal else Console(highlight=False, soft_wrap=True, width=_LOG_WIDTH)


def clock(seconds: float) -> str:
    """``1:05``: minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"

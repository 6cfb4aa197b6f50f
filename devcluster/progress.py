"""Tells a person what is happening: the step, its time, what remains; live on a terminal, else a line per step."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

__all__ = ["Progress"]


class Progress:
    """A list of steps known beforehand; each is entered once, in order, skipped ones included."""

    def __init__(self, steps: Sequence[str], console: Console | None = None) -> None:
        self._steps = list(steps)
        self._done = 0
        self._console = console or Console(stderr=True, highlight=False)
        self._begun = time.monotonic()

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Shows the step while it runs and its time when it has ended; a failure is marked and passed on."""
        begun = time.monotonic()
        number = self._done + 1
        rest = self._steps[number:]
        status = self._console.status(self.line(number, title, rest)) if self._console.is_terminal else None
        if status:
            status.start()
        mark = "[red]✗[/red]"
        try:
            yield
            mark = "[green]✓[/green]"
        finally:
            if status:
                status.stop()
            self._done = number
            seconds, total = time.monotonic() - begun, time.monotonic() - self._begun
            counter = f"{number}/{len(self._steps)}"
            self._console.print(f"{mark} {counter:>5}  {title:<44} {seconds:6.1f} s  (total {total:.0f} s)")

    def say(self, text: str) -> None:
        """A line in between, such as what is going to be installed."""
        self._console.print(f"         {text}", markup=False)

    def line(self, number: int, title: str, rest: Sequence[str]) -> str:
        """What the live line shows."""
        after = f"; then {', '.join(rest[:3])}{' …' if len(rest) > 3 else ''}" if rest else ""
        return f"{number}/{len(self._steps)} {title} [dim]{after}[/dim]"

"""Tells a person what is happening: the step, its time, what remains; live on a terminal, else a line per step."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

__all__ = ["Progress"]

_QUIET_SECONDS = 30.0


class Progress:
    """A list of steps known beforehand; each is entered once, in order, skipped ones included."""

    def __init__(self, steps: Sequence[str], console: Console | None = None) -> None:
        self._steps = list(steps)
        self._done = 0
        self._console = console or Console(stderr=True, highlight=False)
        self._begun = time.monotonic()
        self._current: _Current | None = None

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Shows the step while it runs and its time when it has ended; a failure is marked and passed on."""
        number = self._done + 1
        self._current = current = _Current(number, title, self._steps)
        live = Live(current, console=self._console, transient=True) if self._console.is_terminal else None
        if live:
            live.start()
        mark = "[red]✗[/red]"
        try:
            yield
            mark = "[green]✓[/green]"
        finally:
            if live:
                live.stop()
            self._done, self._current = number, None
            total = time.monotonic() - self._begun
            counter = f"{number}/{len(self._steps)}"
            self._console.print(f"{mark} {counter:>5}  {title:<44} {current.seconds():6.1f} s  (total {total:.0f} s)")

    def say(self, text: str) -> None:
        """A line in between, such as what is going to be installed."""
        self._console.print(f"         {text}", markup=False, soft_wrap=True)

    def note(self, text: str) -> None:
        """How far the current step is. On the live line at once; elsewhere one line in half a minute."""
        if self._current is None:
            return
        self._current.note = text
        if not self._console.is_terminal and self._current.quiet_for() >= _QUIET_SECONDS:
            self._current.spoken = time.monotonic()
            self.say(f"{self._current.seconds():.0f} s: {text}")


class _Current:
    """The running step, which draws itself anew at each refresh."""

    def __init__(self, number: int, title: str, steps: Sequence[str]) -> None:
        self.note = ""
        self.spoken = self._begun = time.monotonic()
        self._counter = f"{number}/{len(steps)}"
        self._title = title
        self._rest = list(steps[number:])
        self._spinner = Spinner("dots")

    def seconds(self) -> float:
        return time.monotonic() - self._begun

    def quiet_for(self) -> float:
        return time.monotonic() - self.spoken

    def __rich__(self) -> Spinner:
        self._spinner.update(text=Text(self.line(), overflow="ellipsis", no_wrap=True))
        return self._spinner

    def line(self) -> str:
        note = f": {self.note}" if self.note else ""
        after = f"  · then {', '.join(self._rest[:3])}{' …' if len(self._rest) > 3 else ''}" if self._rest else ""
        return f"{self._counter}  {self._title}{note}  {self.seconds():.0f} s{after}"

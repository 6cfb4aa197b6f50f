"""What can go wrong in the demo, in words for the person who watches it."""

from __future__ import annotations

__all__ = ["DemoFailed"]


class DemoFailed(Exception):
    """A step did not come to its end. `step` says which, `next_step` what to look at or to run."""

    def __init__(self, step: str, message: str, next_step: str = "") -> None:
        super().__init__(f"{step}: {message}" + (f"\n  next: {next_step}" if next_step else ""))
        self.step = step

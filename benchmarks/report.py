"""Rows of the two reports, as tables for people and as JSON for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

BUILD = Path("build")


@dataclass(frozen=True, slots=True)
class Row:
    """One accuracy figure. ``floor`` and ``goal`` are None for figures that are only reported."""

    set: str
    measure: str
    value: float
    floor: float | None = None
    goal: float | None = None
    n: int = 0
    """What the figure is over: windows, points, cases."""
    at_most: bool = False
    """Smaller is better: floor and goal are upper bounds."""

    @property
    def met(self) -> bool | None:
        """Whether the floor is met; None without a floor. NaN never meets one."""
        if self.floor is None:
            return None
        return self.value <= self.floor if self.at_most else self.value >= self.floor


@dataclass(frozen=True, slots=True)
class Speed:
    """One figure of speed or size beside a peer's, measured in the same run."""

    name: str
    value: float
    unit: str
    peer: str = ""
    peer_value: float | None = None
    ratio: float | None = None
    floor: float | None = None
    """Of the ratio when there is one, else of the value."""
    at_most: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the floor is met; None without one."""
        if self.floor is None:
            return None
        judged = self.value if self.ratio is None else self.ratio
        return judged <= self.floor if self.at_most else judged >= self.floor


def save(path: Path, rows: Sequence[Row] | Sequence[Speed]) -> None:
    """Write rows as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Columns padded to their widest cell."""
    cells = [list(head), *[list(line) for line in lines]]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)


def accuracy_table(rows: Sequence[Row]) -> str:
    """The accuracy report for people."""
    head = ("set", "measure", "value", "floor", "goal", "n", "")
    return table(
        head,
        ((r.set, r.measure, number(r.value), number(r.floor), number(r.goal), str(r.n), _word(r.met)) for r in rows),
    )


def speed_table(rows: Sequence[Speed]) -> str:
    """The speed report for people."""
    head = ("name", "value", "unit", "peer", "peer value", "ratio", "floor", "")
    return table(
        head,
        (
            (
                r.name,
                number(r.value),
                r.unit,
                r.peer,
                number(r.peer_value),
                number(r.ratio),
                number(r.floor),
                _word(r.met),
            )
            for r in rows
        ),
    )


def number(value: float | None) -> str:
    """Four significant digits; empty for None."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def _word(met: bool | None) -> str:
    return "" if met is None else "met" if met else "BELOW FLOOR"

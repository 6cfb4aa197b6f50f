"""The labels of many rows in little memory: what series have in common is kept once.

All metrics of a container mostly have the same labels but for ``__name__``, which senders sort first. So a row has two
numbers, of its name's bytes and of all that comes after them, and together they are what was sent.
"""

from __future__ import annotations

from array import array

import numpy as np

from analysis.telemetry.labels import split
from analysis.windows.block import Bool, Int32, Int64

_NOBODY = -1


class Shared:
    """Byte strings by number, each kept once."""

    def __init__(self) -> None:
        self.numbers: dict[bytes, int] = {}
        self.texts: list[bytes] = []
        self._free: list[int] = []

    def add(self, text: bytes) -> int:
        """Keep a string that is not kept yet; its number."""
        if self._free:
            number = self._free.pop()
            self.texts[number] = text
        else:
            number = len(self.texts)
            self.texts.append(text)
        self.numbers[text] = number
        return number

    def keep(self, used: Int32) -> None:
        """Let all others go; their numbers are given to others."""
        unused = np.ones(len(self.texts), dtype=np.bool_)
        unused[used] = unused[self._free] = False
        for number in np.flatnonzero(unused).tolist():
            del self.numbers[self.texts[number]]
            self.texts[number] = b""
            self._free.append(number)


class KeptLabels:
    """Label fields by row; rows are given out from 0 on, and those that are free again first."""

    def __init__(self) -> None:
        self._names, self._others = Shared(), Shared()
        self._name_of, self._others_of = array("i"), array("i")
        """A row's numbers."""
        self._free: list[int] = []
        self.taken = 0
        """Rows that somebody has."""

    @property
    def texts(self) -> int:
        """Byte strings that are kept for them."""
        return len(self._names.numbers) + len(self._others.numbers)

    def raw(self, row: int) -> bytes:
        """As they came; empty for a free row."""
        name = self._name_of[row]
        return b"" if name == _NOBODY else self._names.texts[name] + self._others.texts[self._others_of[row]]

    def add(self, raw: bytes) -> int:
        """Keep a series' label fields; its row."""
        first, after = split(raw)
        name, others = self._names.numbers.get(first), self._others.numbers.get(after)
        if name is None:
            name = self._names.add(first)
        if others is None:
            others = self._others.add(after)
        if self._free:
            row = self._free.pop()
            self._name_of[row], self._others_of[row] = name, others
        else:
            row = len(self._name_of)
            self._name_of.append(name)
            self._others_of.append(others)
        self.taken += 1
        return row

    def drop(self, rows: Int64) -> Bool:
        """Free rows. Which of all rows were somebody's and are nobody's now, ``bool[row]``."""
        names, others = np.asarray(self._name_of, dtype=np.int32), np.asarray(self._others_of, dtype=np.int32)
        gone = np.zeros(len(names), dtype=np.bool_)
        gone[rows] = names[rows] != _NOBODY
        if gone.any():
            names[gone] = others[gone] = _NOBODY
            self._names.keep(names[names != _NOBODY])
            self._others.keep(others[others != _NOBODY])
            self._free.extend(np.flatnonzero(gone).tolist())
            self.taken = len(names) - len(self._free)
        return gone

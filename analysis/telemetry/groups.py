"""Numbers for what series have in common, a container say: equal labels have equal numbers, whatever the metric.

So joining metrics is indexing arrays, and what is known of 250,000 containers is an array and not 250,000 objects.
Labels are kept as bytes and read of those that somebody asks about. Numbers are only ever added; reading from another
thread while series come is safe.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Set
from itertools import takewhile

import numpy as np

from analysis.windows.block import Bool, Float64, Int64, Labels

_SIZE = 4
"""Bytes of a value's length."""

Values = tuple[str, ...]
"""Of the labels that the groups are made by, in their order."""


class Groups:
    """What series are grouped by, ``by`` label names."""

    def __init__(self, by: tuple[str, ...]) -> None:
        self.by = by
        self._names = tuple(name.encode() for name in by)
        self._numbers: dict[bytes, int] = {}
        self._keys: list[bytes] = []
        self._labels: dict[int, Labels] = {}
        self._sorted: list[bytes] = []

    def __len__(self) -> int:
        return len(self._keys)

    def number(self, labels: Mapping[bytes, bytes]) -> int:
        """Of a series' group, a new one if need be. A label that is absent is an empty one."""
        key = _key([labels.get(name, b"") for name in self._names])
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._keys)
            self._keys.append(key)
        return number

    def labels(self, number: int) -> Labels:
        """The labels of a group; text that is not UTF-8 is replaced, never passed on."""
        known = self._labels.get(number)
        if known is None:
            known = self._labels[number] = dict(zip(self.by, _values(self._keys[number]), strict=True))
        return known

    def in_order(self, numbers: Int64) -> Int64:
        """Sorted by their labels' values."""
        return np.array(sorted(numbers.tolist(), key=lambda one: (*self.labels(one).values(),)), dtype=np.int64)

    def find(self, values: Values) -> int:
        """The number of a group; −1 for one that is not known."""
        return self._numbers.get(_asked(values), -1)

    def beginning(self, values: Values) -> list[int]:
        """Numbers of the groups whose first labels are these."""
        if len(self._sorted) != len(self._keys):
            self._sorted = sorted(self._keys)
        known, prefix = self._sorted, _asked(values)
        later = (known[index] for index in range(bisect_left(known, prefix), len(known)))
        return [self._numbers[key] for key in takewhile(lambda key: key.startswith(prefix), later)]

    def values(self, number: int) -> Values:
        """The same as the labels, without their names."""
        return _values(self._keys[number])


class Present(Set[tuple[str, str]]):
    """The first two labels (namespace and pod) of the groups that are on in ``mask: bool[number]``."""

    def __init__(self, groups: Groups, mask: Bool) -> None:
        self._groups, self._mask = groups, mask

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, tuple):
            return False
        return any(number < len(self._mask) and self._mask[number] for number in self._groups.beginning(key))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter({self._groups.values(number)[:2] for number in np.flatnonzero(self._mask).tolist()})  # type: ignore[misc]

    def __len__(self) -> int:
        return sum(1 for _ in self)


class Latest(Mapping[Values, float]):
    """The newest value of each group by its labels' values: ``values: float64[number]``, NaN where there is none."""

    def __init__(self, groups: Groups, values: Float64) -> None:
        self._groups, self._of = groups, values

    def __getitem__(self, key: Values) -> float:
        number = self._groups.find(key)
        if not 0 <= number < len(self._of) or np.isnan(self._of[number]):
            raise KeyError(key)
        return float(self._of[number])

    def __iter__(self) -> Iterator[Values]:
        return (self._groups.values(number) for number in np.flatnonzero(np.isfinite(self._of)).tolist())

    def __len__(self) -> int:
        return int(np.isfinite(self._of).sum())


def _key(values: Iterable[bytes]) -> bytes:
    """Lengths before values: one value cannot be taken for two."""
    return b"".join([len(value).to_bytes(_SIZE, "big") + value for value in values])


def _asked(values: Values) -> bytes:
    return _key([value.encode("utf-8", "replace") for value in values])


def _values(key: bytes) -> Values:
    found, at = [], 0
    while at < len(key):
        begin = at + _SIZE
        at = begin + int.from_bytes(key[at:begin], "big")
        found.append(key[begin:at].decode("utf-8", "replace"))
    return tuple(found)

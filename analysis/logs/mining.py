"""Template mining: lines that one statement of a program has printed are put into one group.

A batch method after Brain (Yu et al., "Brain: Log Parsing with Bidirectional Parallel Tree", IEEE TSC 2023): among
lines with equally many tokens, the largest set of words that occur equally often in their columns is the root of a
group; below it, a column with few different words branches the group, and one with many is variable. Groups whose
templates become equal once runs of variables are one are one group. There is nothing to tune per format, and the same
lines give the same groups in whatever order they come.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from analysis.logs.tokens import WILDCARD, Tokenizer, layout

Tokens = tuple[str, ...]

MAX_BRANCHES: Final = 4
"""A column with more different words than this is variable."""


@dataclass(frozen=True, slots=True)
class Mined:
    """``groups[i]`` is the index in ``templates`` of line ``i``."""

    groups: list[int]
    templates: list[str]


def mine(lines: Sequence[str]) -> Mined:
    """Group lines by template. Templates keep the punctuation of their (alphabetically first) line."""
    tokenizer = Tokenizer()
    cut = [tokenizer.tokens(line) for line in lines]
    found = templates(Counter(cut))
    first: dict[Tokens, tuple[str, Tokens]] = {}
    for line, tokens in zip(lines, cut, strict=True):
        key = _collapsed(found[tokens])
        known = first.get(key)
        if known is None or line < known[0]:
            first[key] = (line, found[tokens])
    number = {key: index for index, key in enumerate(first)}
    shown = [_render(line, template) for line, template in first.values()]
    keys = {tokens: number[_collapsed(template)] for tokens, template in found.items()}
    return Mined([keys[tokens] for tokens in cut], shown)


def templates(counts: Counter[Tokens]) -> dict[Tokens, Tokens]:
    """Each distinct token sequence with its template, of the same length."""
    by_length: dict[int, list[Tokens]] = defaultdict(list)
    for tokens in counts:
        by_length[len(tokens)].append(tokens)
    found: dict[Tokens, Tokens] = {}
    for length, members in by_length.items():
        columns: list[Counter[str]] = [Counter() for _ in range(length)]
        for tokens in members:
            weight = counts[tokens]
            for column, word in zip(columns, tokens, strict=True):
                column[word] += weight
        total = sum(counts[tokens] for tokens in members)
        for group in _by_root(members, columns, total):
            _branch(group, found)
    return found


def _by_root(members: Iterable[Tokens], columns: Sequence[Counter[str]], total: int) -> Iterable[list[Tokens]]:
    """Lines that share their largest set of equally frequent words; the more frequent set when two are as large.

    Words that all lines have, such as a logger's prefix, tell no statement from another and do not count, unless a
    single word is all that is left: that may as well be a name.
    """
    groups: dict[tuple[tuple[int, str], ...], list[Tokens]] = defaultdict(list)
    for tokens in members:
        frequency = [0 if word is WILDCARD else column[word] for column, word in zip(columns, tokens, strict=True)]
        sizes = Counter(frequency)
        del sizes[0]
        if any(size > 1 for one, size in sizes.items() if one != total):
            del sizes[total]
        best = max(sizes, key=lambda one: (sizes[one], one), default=0)
        root = tuple((at, tokens[at]) for at, one in enumerate(frequency) if one == best) if best else ()
        groups[root].append(tokens)
    return groups.values()


def _branch(group: list[Tokens], found: dict[Tokens, Tokens]) -> None:
    """Split a group by its columns of few words, the fewest first, until the rest is variable."""
    todo = [group]
    while todo:
        members = todo.pop()
        words = [set(column) for column in zip(*members, strict=True)]
        few = [(len(one), at) for at, one in enumerate(words) if 1 < len(one) <= MAX_BRANCHES and WILDCARD not in one]
        if few:
            at = min(few)[1]
            parts: dict[str, list[Tokens]] = defaultdict(list)
            for tokens in members:
                parts[tokens[at]].append(tokens)
            todo.extend(parts.values())
            continue
        template = tuple(next(iter(one)) if len(one) == 1 else WILDCARD for one in words)
        found.update(dict.fromkeys(members, template))


def _collapsed(template: Tokens) -> Tokens:
    return tuple(
        word for at, word in enumerate(template) if word is not WILDCARD or not at or template[at - 1] is not WILDCARD
    )


def _render(line: str, template: Tokens) -> str:
    """The line with the variable tokens of its template masked; stretches between two variables go with them."""
    *parts, (rest, _) = layout(line)
    text: list[str] = []
    previous = ""
    for (gap, _), word in zip(parts, template, strict=True):
        if word is not WILDCARD or previous is not WILDCARD:
            text += (gap, word)
        previous = word
    return "".join([*text, rest])

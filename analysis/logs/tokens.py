"""Cutting log lines into tokens, with everything that varies by nature masked. One configuration for all formats."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

WILDCARD: Final = "<*>"
MAX_TOKENS: Final = 256
"""Later tokens of a line are ignored: its head tells its kind."""
_MAX_CACHED: Final = 100_000

_VARIABLE: Final = re.compile(
    r"""
      \b[a-z][a-z0-9+.-]*://[^\s,;"'\]\)]+                                     # URL
    | (?<![\w.])/[\w.@%+~:-]+(?:/[\w.@%+~:$-]*)+                               # path
    | \b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b                 # UUID
    | \b(?:[0-9a-fA-F]{1,2}:){3,}[0-9a-fA-F]{1,4}\b                            # MAC, clock with fractions
    | /?\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b                                   # IPv4
    | \b[\w-]+(?:\.[\w-]+)+:\d+\b                                              # host with port, file with line
    | \b0x[0-9a-fA-F]+\b
    | \b(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{6,}\b                                    # digest, id
    | (?<![A-Za-z_])[-+]?\d+(?:[.,:/-]\d+)*(?:[kKMGTP]?i?[bB]|ms|us|ns|s|%)?(?![A-Za-z_])
    | (?<=[_\-@\#.])\d+(?![A-Za-z])                                            # worker-7
    """,
    re.VERBOSE,
)
_DELIMITERS: Final = re.compile(r"[\s=:,;()\[\]{}|\"']+")
_WORD: Final = re.compile(r"\S+")
_DIGIT: Final = re.compile(r"\d")
_DATE_WORDS: Final = frozenset(
    {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}
    | {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"}
)


class Tokenizer:
    """Lines to tokens. Words repeat a lot, so each is cut once; the cache is bounded and changes no result."""

    def __init__(self) -> None:
        self._cache: dict[str, tuple[str, ...]] = {}

    def tokens(self, text: str) -> tuple[str, ...]:
        """The constant words of a line; what varies is ``WILDCARD``, and neighbours of these are one."""
        found: list[str] = []
        cache = self._cache
        for word in text.split(maxsplit=MAX_TOKENS)[:MAX_TOKENS]:
            parts = cache.get(word)
            if parts is None:
                if len(cache) >= _MAX_CACHED:
                    cache.clear()
                parts = cache[word] = tuple(token for _, token in _cut(word) if token)
            for token in parts:
                if token is not WILDCARD or not found or found[-1] is not WILDCARD:
                    found.append(token)
        return tuple(found[:MAX_TOKENS])


def _cut(word: str) -> Iterator[tuple[str, str]]:
    """``(delimiters before, token)`` of a word, ending with ``(delimiters after, "")``. Digits make a wildcard."""
    masked = _VARIABLE.sub(WILDCARD, word)
    gap, at = "", 0
    for match in _DELIMITERS.finditer(masked):
        if match.start() > at:
            yield gap, _token(masked[at : match.start()])
            gap = ""
        gap += match.group()
        at = match.end()
    if at < len(masked):
        yield gap, _token(masked[at:])
        gap = ""
    yield gap, ""


def _token(raw: str) -> str:
    return WILDCARD if WILDCARD in raw or raw in _DATE_WORDS or _DIGIT.search(raw) else raw


def layout(text: str) -> list[tuple[str, str]]:
    """``(text before, token)`` over a line, ending with ``(text after the last token, "")``.

    The tokens are those of ``Tokenizer.tokens``, so both can be walked together: a run of wildcards is one, and what
    stood within the run belongs to it.
    """
    found: list[tuple[str, str]] = []
    gap, end = "", 0
    for word in islice(_WORD.finditer(text), MAX_TOKENS):
        gap += text[end : word.start()]
        for before, token in _cut(word.group()):
            gap += before
            if not token:
                continue
            if token is not WILDCARD or not found or found[-1][1] is not WILDCARD:
                found.append((gap, token))
            gap = ""
        end = word.end()
    return [*found[:MAX_TOKENS], (gap, "")]

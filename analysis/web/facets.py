"""The list of incidents: what is shown of it, and how many there are of each kind. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from analysis.web.rows import Row
from crds.v1alpha1.base import Severity
from crds.v1alpha1.incident import IncidentState

__all__ = ["PAGE_SIZE", "Choice", "Facet", "Listing", "listing"]

PAGE_SIZE = 100
OPEN = "open"
"""Pseudo state: everything that has not ended."""
_WAITING = {IncidentState.AWAITING_APPROVAL.value, IncidentState.ESCALATED.value}
"""Nothing goes on until a person does something."""
_ENDED = {IncidentState.RESOLVED.value, IncidentState.RECOVERED.value, IncidentState.CLOSED.value}


@dataclass(frozen=True, slots=True)
class Choice:
    """What is asked for; every part is in the address, so that a view can be shared."""

    namespace: str = ""
    state: str = ""
    severity: str = ""
    type: str = ""
    q: str = ""
    page: int = 1

    def link(self, **changed: object) -> str:
        """Address of this view with something else chosen; the first page unless a page is named."""
        kept = {name: getattr(self, name) for name in ("namespace", "state", "severity", "type", "q")}
        query = {name: value for name, value in {**kept, **changed}.items() if value and (name, value) != ("page", 1)}
        return f"/?{urlencode(query)}" if query else "/"


@dataclass(frozen=True, slots=True)
class Facet:
    """One choice: its word, how many incidents it has within the other choices, where it leads, whether it is on."""

    word: str
    count: int
    link: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """What the page shows; ``total`` counts before any choice but the namespace, ``fitting`` after all of them."""

    choice: Choice
    incidents: tuple[Row, ...]
    total: int
    fitting: int
    first: int
    previous: str
    next: str
    """Addresses of the pages before and after; empty where there is none."""
    groups: tuple[tuple[str, tuple[Facet, ...]], ...]


def listing(found: Sequence[Row], choice: Choice) -> Listing:
    """Filter, count, put what waits for a person first, and cut to one page. Unknown words match nothing."""
    words = [row for row in found if _speaks_of(row, choice.q)]
    tests: dict[str, Callable[[Row], bool]] = {
        "state": lambda row: not choice.state or _in_state(row, choice.state),
        "severity": lambda row: not choice.severity or row.severity == choice.severity,
        "type": lambda row: not choice.type or row.type == choice.type,
    }
    fitting = sorted((row for row in words if all(test(row) for test in tests.values())), key=_urgency)

    def others(key: str) -> list[Row]:
        kept = [test for name, test in tests.items() if name != key]
        return [row for row in words if all(test(row) for test in kept)]

    pages = max(1, -(-len(fitting) // PAGE_SIZE))
    page = min(max(1, choice.page), pages)
    start = (page - 1) * PAGE_SIZE
    return Listing(
        choice, tuple(fitting[start : start + PAGE_SIZE]), len(found), len(fitting), start + 1 if fitting else 0,
        choice.link(page=page - 1) if page > 1 else "", choice.link(page=page + 1) if page < pages else "",
        (
            ("State", _states(others("state"), choice)),
            ("Severity", _words("severity", [item.value for item in reversed(Severity)], others("severity"), choice)),
            ("Type", _words("type", sorted({row.type for row in words}), others("type"), choice)),
        ),
    )  # fmt: skip


def _urgency(row: Row) -> int:
    """What waits for a person, what is on, what has ended; within each the order stays."""
    return 0 if row.state in _WAITING else 2 if row.state in _ENDED else 1


def _states(rows: Sequence[Row], choice: Choice) -> tuple[Facet, ...]:
    open_ = Facet(
        OPEN, sum(_in_state(row, OPEN) for row in rows),
        choice.link(state="" if choice.state == OPEN else OPEN), choice.state == OPEN,
    )  # fmt: skip
    return (open_, *_words("state", [item.value for item in IncidentState], rows, choice))


def _words(key: str, names: Iterable[str], rows: Sequence[Row], choice: Choice) -> tuple[Facet, ...]:
    counted, chosen = Counter(getattr(row, key) for row in rows), getattr(choice, key)
    return tuple(
        Facet(name, counted[name], choice.link(**{key: "" if name == chosen else name}), name == chosen)
        for name in names
        if counted[name] or name == chosen
    )


def _speaks_of(row: Row, q: str) -> bool:
    if not q:
        return True
    text = " ".join((row.namespace, row.name, row.type, row.target, row.cause, row.action)).lower()
    return all(word in text for word in q.lower().split())


def _in_state(row: Row, state: str) -> bool:
    return row.state not in _ENDED if state == OPEN else row.state == state

"""Whether what was seen is what was expected. Pure: no cluster, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from crds.v1alpha1.predictions import Outcome
from demo.scenario.model import Expect, Expected
from demo.scenario.seen import Seen

__all__ = ["Match", "judge", "match", "pending"]


@dataclass(frozen=True, slots=True)
class Match:
    """Pairs of what was expected and what was seen, and what is left on either side."""

    pairs: tuple[tuple[Expected, Seen], ...]
    missing: tuple[Expected, ...]
    extra: tuple[Seen, ...]


def match(expect: Expect, seen: Sequence[Seen]) -> Match:
    """Each expected incident takes the oldest unmatched one of its type and target."""
    left = list(seen)
    pairs, missing = [], []
    for expected in expect.incidents:
        found = next((item for item in left if item.type in expected.type and item.target in expected.target), None)
        if found is None:
            missing.append(expected)
        else:
            left.remove(found)
            pairs.append((expected, found))
    return Match(tuple(pairs), tuple(missing), tuple(left))


def pending(expect: Expect, seen: Sequence[Seen], injected_at: datetime, now: datetime) -> list[str]:
    """What is not there yet and may still come before its deadline, in words; empty when nothing is."""
    if expect.none is not None:
        return ["no incident"] if not seen and (now - injected_at).total_seconds() < expect.none else []
    found = match(expect, seen)
    wanted = []
    if (now - injected_at).total_seconds() < expect.within:
        wanted += [f"{item.type[0]} {item.target[0]}" for item in found.missing]
    for expected, incident in found.pairs:
        age = (now - incident.seen_at).total_seconds()
        if age < expect.diagnosed_within:
            wanted += ["cause"] * bool(expected.cause and incident.cause not in expected.cause)
            wanted += ["action"] * bool(expected.action and incident.action not in expected.action)
        if age < expect.verified_within:
            wanted += ["verdict"] * bool(expected.verdict and not incident.verdict)
    return wanted


def judge(expect: Expect, seen: Sequence[Seen], injected_at: datetime) -> list[str]:
    """What is wrong, one sentence each; empty when everything is as expected."""
    problems = [f"{_name(item)} was opened before the fault" for item in seen if item.seen_at < injected_at]
    found = match(expect, seen)
    if found.extra:
        extra = ", ".join(_name(item) for item in found.extra)
        problems.append(f"{len(seen)} incidents instead of {len(expect.incidents)}; not expected: {extra}")
    problems += [
        f"no {' or '.join(item.type)} about {' or '.join(item.target)} within {expect.within:.0f} s"
        for item in found.missing
    ]
    for expected, incident in found.pairs:
        problems += _pair(expect, expected, incident, injected_at)
    problems += [
        f"the report of {_name(item)} does not hold: {text}"
        for item in seen
        if item.verified is not None
        for text in item.verified.different
    ]
    return problems


def _pair(expect: Expect, expected: Expected, incident: Seen, injected_at: datetime) -> list[str]:
    problems = []
    delay = (incident.seen_at - injected_at).total_seconds()
    if delay > expect.within:
        problems.append(f"{_name(incident)} came after {delay:.0f} s, not within {expect.within:.0f} s")
    for what, wanted, got in (
        ("first cause", expected.cause, incident.cause or "none"),
        ("target of the first cause", expected.cause_target, incident.cause_target or "none"),
        ("action", expected.action, incident.action),
        ("verdict", expected.verdict, incident.verdict or "none"),
    ):
        if wanted and got not in wanted:
            problems.append(f"{what} of {_name(incident)} is {got}, not {' or '.join(wanted)}")
    if expected.predicted is not None and expected.predicted != incident.predicted:
        words = {True: "predicted", False: "not predicted"}
        problems.append(f"{_name(incident)} was {words[incident.predicted]}")
    if expected.came_true is not None and expected.came_true != (incident.outcome == Outcome.CAME_TRUE):
        problems.append(f"the prediction of {_name(incident)} ended as {incident.outcome or 'none'}")
    if incident.reopened:
        problems.append(f"{_name(incident)} was closed and opened again ({incident.reopened}×)")
    return problems


def _name(incident: Seen) -> str:
    return f"{incident.type} {incident.target}"

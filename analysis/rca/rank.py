"""From observations to ranked causes. Confidence is log-odds: prior plus a weight per answer; no model has a say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.rca.catalogue import Catalogue, Cause, RefuterSpec
from analysis.rca.facts import Facts
from analysis.rca.memory import worst
from analysis.rca.observation import Observation
from analysis.rca.rollouts import latest_rollout, started_with_rollout
from analysis.words import clock, line, mib_per_minute, moment, percent
from crds.v1alpha1.base import TargetRef
from crds.v1alpha1.rcareport import MAX_QUERY_CHARS, Evidence, Refuter, RootCause

MAX_CAUSES = 5
SHOWN_REFUTED = 2
"""So many refuted causes are shown even where more than enough stand: what it was not is half of a diagnosis."""
MAX_EVIDENCE = 4
SHOWN_REFUTERS = 4
"""As many as a RootCause holds; those that refuted come first."""
REFUTED_CONFIDENCE = 3
BLIND_FACTOR = 0.4
"""Of the confidence when the probe that the cause rests on had no data."""
UNSEEN_SHARE = 0.3
"""Of the confidence that is lost when none of a cause's probes had data."""
CEILING = 97
SURVIVED = 0.25
"""Log-odds for each refuter that was run and did not refute, …"""
MAX_SURVIVED = 4
"""… for so many of them: a cause is not likelier for having a longer list."""

Observations = Mapping[str, Observation]


def observe(catalogue: Catalogue, causes: tuple[Cause, ...], facts: Facts) -> Observations:
    """Run every probe that these causes need, each once."""
    names = sorted({name for cause in causes for name in cause.probes()})
    return {name: catalogue.run(name, facts) for name in names}


@dataclass(frozen=True, slots=True)
class Judge:
    """Which refuters count, of the causes that this incident may have.

    A deeper cause takes another's place only where it may itself be the cause: traffic that grew is why a memory limit
    is reached, and no reason for errors. Each chain of such refuters ends at a cause that stands, because the catalogue
    has no circle of them (a test holds that).
    """

    catalogue: Catalogue
    causes: tuple[Cause, ...]
    seen: Observations

    def refutes(self, cause: Cause, spec: RefuterSpec) -> bool:
        """Whether this refuter rules the cause out."""
        if not _answered(spec, self.seen):
            return False
        deeper = self._deeper(cause, spec)
        return not deeper or any(one in self.causes and self._possible(one) for one in deeper)

    def _deeper(self, cause: Cause, spec: RefuterSpec) -> tuple[Cause, ...]:
        if spec.when == "no":
            return ()
        return tuple(one for one in self.catalogue.resting_on(spec.probe) if one.kind != cause.kind)

    def _possible(self, cause: Cause) -> bool:
        """Whether nothing but deeper causes speaks against it."""
        own = (spec for spec in cause.refuters if not self._deeper(cause, spec))
        return self.seen[cause.requires].answer is not False and not any(_answered(spec, self.seen) for spec in own)


def rank(catalogue: Catalogue, causes: tuple[Cause, ...], facts: Facts, seen: Observations) -> tuple[RootCause, ...]:
    """Causes best first; refuted ones are kept, marked, and stand last, first of them what else was most likely."""
    judge = Judge(catalogue, causes, seen)
    ordered = sorted(causes, key=lambda one: (-confidence(one, seen), one.kind))
    found = [_root_cause(cause, facts, judge) for cause in ordered]
    return shown([one for one in found if not one.refuted], [one for one in found if one.refuted])


def shown(standing: Sequence[RootCause], refuted: Sequence[RootCause]) -> tuple[RootCause, ...]:
    """As many of both as a report holds."""
    kept = refuted[: max(SHOWN_REFUTED, MAX_CAUSES - len(standing))]
    return (*standing[: MAX_CAUSES - len(kept)], *kept)


def _root_cause(cause: Cause, facts: Facts, judge: Judge) -> RootCause:
    seen = judge.seen
    refuters = _refuters(cause, judge)
    refuted = any(refuter.refuted for refuter in refuters)
    return RootCause(
        id=f"cause-{cause.kind.lower()}"[:32],
        kind=cause.kind,
        summary=line(_refuted_summary(cause, refuters) if refuted else summary(cause, facts, seen)),
        explanation=cause.explanation[:1024],
        target=_blamed(cause, facts, seen),
        confidence_percent=REFUTED_CONFIDENCE if refuted else confidence(cause, seen),
        refuted=refuted,
        evidence=list(_evidence(cause, facts, seen)),
        refuters=refuters,
    )


def _blamed(cause: Cause, facts: Facts, seen: Observations) -> TargetRef:
    """Where the cause lies: what the first of its probes names that has found somebody else."""
    for name in cause.blame:
        target = seen[name].blames
        if seen[name].answer and target is not None:
            return target
    return facts.target


def _refuted_summary(cause: Cause, refuters: list[Refuter]) -> str:
    """What was ruled out, and by which observation."""
    return f"{cause.name} ({next(one.result for one in refuters if one.refuted)})"


def confidence(cause: Cause, seen: Observations) -> int:
    """Percent. A yes adds its weight times its strength, a no takes a quarter of it away, no answer changes nothing.

    Refuters that were run and did not refute add a little, once what the cause rests on was seen: a hypothesis is
    worth more once it could have failed, but nothing is worth more for what it is not.
    """
    odds = math.log(cause.prior / (1 - cause.prior))
    for name, weight in cause.weights.items():
        observed = seen[name]
        if observed.answer is not None:
            odds += weight * observed.strength if observed.answer else -weight / 4
    if seen[cause.requires].answer:
        odds += SURVIVED * min(MAX_SURVIVED, sum(_survived(refuter, seen) for refuter in cause.refuters))
    share = 1 / (1 + math.exp(-odds))
    if seen[cause.requires].answer is None:
        share *= BLIND_FACTOR
    total = sum(cause.weights.values())
    unseen = sum(weight for name, weight in cause.weights.items() if seen[name].answer is None)
    share *= 1 - UNSEEN_SHARE * unseen / total if total else 1.0
    return max(1, min(CEILING, round(100 * share)))


def _evidence(cause: Cause, facts: Facts, seen: Observations) -> tuple[Evidence, ...]:
    names = sorted(cause.weights, key=lambda name: (-cause.weights[name], name))
    shown = [name for name in names if seen[name].answer]
    return tuple(seen[name].evidence(name, facts.window) for name in shown[:MAX_EVIDENCE])


def _refuters(cause: Cause, judge: Judge) -> list[Refuter]:
    specs = list(cause.refuters)
    if judge.seen[cause.requires].answer is False and all(spec.probe != cause.requires for spec in specs):
        specs.insert(0, RefuterSpec(probe=cause.requires, when="no", claim="what the cause rests on would be seen"))
    found = [_refuter(spec, judge.seen, refuted=judge.refutes(cause, spec)) for spec in specs]
    return sorted(found, key=lambda one: not one.refuted)[:SHOWN_REFUTERS]


def _answered(spec: RefuterSpec, seen: Observations) -> bool:
    """Whether the probe says what would refute, and nothing else explains that."""
    explained = bool(spec.unless) and seen[spec.unless].answer is True
    return seen[spec.probe].answer is (spec.when == "yes") and not explained


def _survived(spec: RefuterSpec, seen: Observations) -> bool:
    return seen[spec.probe].answer is (spec.when != "yes")


def _refuter(spec: RefuterSpec, seen: Observations, *, refuted: bool) -> Refuter:
    observed = seen[spec.probe]
    return Refuter(
        summary=line(spec.claim),
        query=observed.query if len(observed.query) <= MAX_QUERY_CHARS else "",
        refuted=refuted,
        result=line(observed.summary),
    )


def summary(cause: Cause, facts: Facts, seen: Observations) -> str:
    """The cause in one line, with this incident's numbers; of what could not be looked at, only that."""
    if seen[cause.requires].answer is None:
        return f"{cause.name}, not excluded: {seen[cause.requires].summary}"
    rollout = started_with_rollout(facts)
    onset = facts.onset
    rate = ""
    row = worst(facts.memory) if facts.memory else None
    if facts.memory and row is not None:
        onset = float(facts.memory.growth.onset[row])
        rate = mib_per_minute(float(facts.memory.growth.slope.value[row]))
    latest = rollout or latest_rollout(facts)
    values = {
        "rate": rate or "steadily",
        "since": clock(moment(onset)),
        "revision": latest.revision if latest else "?",
        "change": latest.summary if latest else "none",
        "traffic": percent(facts.traffic.change)
        if facts.traffic and math.isfinite(facts.traffic.change)
        else "unknown",
        "target": _blamed(cause, facts, seen).short(),
        "seen": seen[cause.requires].summary,
    }
    template = cause.summary_with_rollout if rollout and cause.summary_with_rollout else cause.summary
    return template.format_map(values)

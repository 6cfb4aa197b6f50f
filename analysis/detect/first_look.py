"""Which series of memory the rules have to look at closely, from one number or two of each.

A rule asks for a rise of so much. What does not stand that much above the lowest value of its window cannot have risen
by it, so nothing that a rule calls is left out (``tests/unit/analysis/detect/test_first_look.py``). It is decided for
all containers at once and costs an array operation; only what is chosen is laid on a grid, gets labels and is fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from analysis.detect.containers import STALE_SECONDS, least_rise
from analysis.detect.rules import GrowthRule, RuleSet, StepRule, ThrottleRule
from analysis.telemetry.look import Chosen, Look
from analysis.windows.block import Bool


@dataclass(frozen=True, slots=True)
class FirstLook:
    """What was seen of the metrics that the rules can choose from, and what they chose; both by metric."""

    looks: Mapping[str, Look]
    chosen: Mapping[str, Chosen]


def first_look(
    rules: RuleSet, metrics: Mapping[str, float], look: Callable[[str, float], Look | None], now: float
) -> FirstLook:
    """Look at metrics of containers, each of so many seconds.

    Empty where a rule's metric or limit cannot be looked at so: of one alone nothing can be said. What another rule
    needs all series of is left out.
    """
    rising = [rule for rule in rules.rules if isinstance(rule, GrowthRule | StepRule)]
    whole = {name for rule in rules.rules if isinstance(rule, ThrottleRule) for name in (rule.quota, rule.period)}
    found = {name: look(name, seconds) for name, seconds in metrics.items() if name not in whole}
    looks = {name: one for name, one in found.items() if one is not None}
    if not all(rule.metric in looks and rule.limit in looks for rule in rising):
        return FirstLook({}, {})
    masks = {name: np.zeros(len(one.groups), dtype=np.bool_) for name, one in looks.items()}
    for rule in rising:
        may = _may_be_meant(rule, looks[rule.metric], looks[rule.limit], now)
        for name in (rule.metric, rule.limit):
            masks[name][: len(may)] |= may
    return FirstLook(looks, {name: looks[name].choose(mask) for name, mask in masks.items()})


def _may_be_meant(rule: GrowthRule | StepRule, look: Look, limits: Look, now: float) -> Bool:
    """``bool[number]``: has a limit, is alive, and stands high enough above its lowest value.

    A limit may have changed within its window; the lowest asks for the smallest rise.
    """
    known = min(len(look.seen), len(limits.seen))  # groups that came between the two looks are in one only
    used, limit = look.seen.first(known), limits.seen.first(known)
    with np.errstate(invalid="ignore"):
        high = used.last - used.low >= least_rise(rule, limit.low)
        return np.asarray(high & (limit.high > 0) & look.since(now - STALE_SECONDS)[:known], dtype=np.bool_)

"""The catalogue of causes: data in ``config/causes/*.yaml``. Causes name probes, in code here or in the same files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from analysis.configfile import ConfigError, read_yaml
from analysis.rca import changed, context, loglines, memory, rollouts, serving
from analysis.rca.facts import Facts
from analysis.rca.measured import answer
from analysis.rca.observation import Observation
from analysis.rca.probes import Entry, ProbeSpec, words_only
from crds.v1alpha1.actions import ActionType
from crds.v1alpha1.base import Word

Probe = Callable[[Facts], Observation]
MAX_REFUTERS = 10

PROBES: Mapping[str, Probe] = MappingProxyType(
    {
        "memory-grows": memory.memory_grows,
        "memory-jumped": memory.memory_jumped,
        "siblings-flat": memory.siblings_flat,
        "siblings-grow-too": memory.siblings_grow_too,
        "level-near-limit": memory.level_near_limit,
        "oom-killed": memory.oom_killed,
        "memory-limit-lowered": rollouts.memory_limit_lowered,
        "rollout-before-onset": rollouts.rollout_before_onset,
        "rollout-changed-program": rollouts.rollout_changed_program,
        "rollout-has-run": rollouts.rollout_has_run,
        "rollout-follows-config": changed.rollout_follows_config,
        "traffic-grew": context.traffic_grew,
        "traffic-explains-growth": context.traffic_explains_growth,
        "memory-outgrows-traffic": context.memory_outgrows_traffic,
        "node-short-of-memory": context.node_short_of_memory,
        "upstream-slow": context.upstream_slow,
        "upstream-fails": context.upstream_fails,
        "signals-point-elsewhere": context.signals_point_elsewhere,
        "origin-in-callee": context.origin_in_callee,
        "new-log-lines": loglines.new_log_lines,
        "config-changed": changed.config_changed,
        "config-changed-callees-well": changed.config_changed_callees_well,
        "caller-changed": changed.caller_changed,
        "network-policy-changed": changed.network_policy_changed,
        "quota-changed": changed.quota_changed,
        "node-changed": changed.node_changed,
        "warning-events": context.warning_events,
        "replicas-zero": serving.replicas_zero,
        "scaled-before-onset": serving.scaled_before_onset,
        "scaled-down": serving.scaled_down,
        "no-ready-endpoints": serving.no_ready_endpoints,
        "selector-mismatch": serving.selector_mismatch,
        "port-not-served": serving.port_not_served,
        "callee-without-endpoints": serving.callee_without_endpoints,
        "callee-without-service": serving.callee_without_service,
        "pods-not-ready": serving.pods_not_ready,
        "nodes-unwell": serving.nodes_unwell,
    }
)


class RefuterSpec(Entry):
    """A probe that refutes the cause when it answers yes (or no, if ``when`` says so)."""

    probe: str
    when: Literal["yes", "no"] = "yes"
    unless: str = ""
    """Probe whose yes explains the answer otherwise, so that it refutes nothing."""
    claim: str
    """What would be the case if the cause were wrong."""


class ActionSpec(Entry):
    """A typed action that would address the cause."""

    type: ActionType
    needs: str = ""
    """Probe that must answer yes for the action to make sense."""
    why: str
    confidence_factor: float = Field(gt=0, le=1)
    """Share of the cause's confidence."""


SUMMARY_WORDS = frozenset({"rate", "since", "revision", "change", "traffic", "target", "seen"})


def _summary(text: str) -> str:
    return words_only(text, SUMMARY_WORDS)


class Cause(Entry):
    """One hypothesis."""

    kind: Word
    name: str
    """In words: ``memory leak``."""
    explains: Annotated[tuple[Word, ...], Field(min_length=1)]
    """Types of incidents and signals. A type that no cause names is looked at by all of them."""
    prior: float = Field(gt=0, lt=1)
    requires: str
    """Probe without which the cause makes no sense: a no refutes it."""
    weights: dict[str, float]
    """Probe → log-odds of a yes; a no counts a quarter of it against."""
    refuters: Annotated[tuple[RefuterSpec, ...], Field(min_length=1, max_length=MAX_REFUTERS)]
    summary: Annotated[str, AfterValidator(_summary)]
    summary_with_rollout: Annotated[str, AfterValidator(_summary)] = ""
    blame: tuple[str, ...] = ()
    """Probes that may name another target than the incident's; the first that does decides."""
    explanation: str
    actions: tuple[ActionSpec, ...] = ()

    def probes(self) -> frozenset[str]:
        """Names of all probes that it needs."""
        asked = {self.requires, *self.weights, *self.blame, *(one.probe for one in self.refuters)}
        asked |= {one.unless for one in self.refuters} | {one.needs for one in self.actions}
        return frozenset(asked - {""})


class CauseFile(Entry):
    """One file."""

    causes: tuple[Cause, ...] = ()
    probes: tuple[ProbeSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All causes and the probes that are data."""

    causes: tuple[Cause, ...]
    probes: Mapping[str, ProbeSpec]

    def applicable(self, types: Iterable[str]) -> tuple[Cause, ...]:
        """Causes that explain one of these types; all of them for types that are in none."""
        wanted = set(types)
        return tuple(cause for cause in self.causes if wanted & set(cause.explains)) or self.causes

    def resting_on(self, probe: str) -> tuple[Cause, ...]:
        """Causes that require a probe: a refuter of another cause that asks it names these as the deeper ones."""
        return tuple(cause for cause in self.causes if cause.requires == probe)

    def specs(self, causes: Iterable[Cause]) -> tuple[ProbeSpec, ...]:
        """The probes that are data which these causes need, by name."""
        names = sorted({name for cause in causes for name in cause.probes()})
        return tuple(self.probes[name] for name in names if name in self.probes)

    def run(self, name: str, facts: Facts) -> Observation:
        """What a probe says."""
        if name in PROBES:
            return PROBES[name](facts)
        return answer(self.probes[name], facts)


def load_causes(directory: Path) -> Catalogue:
    """Read all ``*.yaml`` of a folder.

    Raises:
        ConfigError: a file is unreadable or invalid, a name is there twice or unknown, or there is no cause at all.
    """
    causes: list[Cause] = []
    specs: list[ProbeSpec] = []
    for path in sorted(directory.glob("*.yaml")):
        found, _ = read_yaml(path, CauseFile)
        causes.extend(found.causes)
        specs.extend(found.probes)
    _check_names(directory, causes, specs)
    return Catalogue(tuple(causes), MappingProxyType({spec.name: spec for spec in specs}))


def _check_names(directory: Path, causes: list[Cause], specs: list[ProbeSpec]) -> None:
    if not causes:
        raise ConfigError(f"{directory}: no causes (*.yaml) found")
    for what, names in (("cause", [one.kind for one in causes]), ("probe", [*PROBES, *(one.name for one in specs)])):
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigError(f"{directory}: {what} there twice: {', '.join(twice)}")
    known = {*PROBES, *(one.name for one in specs)}
    for cause in causes:
        if unknown := sorted(cause.probes() - known):
            listed = ", ".join(sorted(known))
            raise ConfigError(
                f"{directory}: cause {cause.kind} asks unknown probes {', '.join(unknown)}; known: {listed}"
            )

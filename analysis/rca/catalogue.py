"""The catalogue of causes: data in ``config/causes/*.yaml``, naming probes by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from analysis.config import ConfigError, describe
from analysis.rca import context, memory
from analysis.rca.facts import Facts
from analysis.rca.observation import Observation
from crds.v1alpha1.base import Word

Probe = Callable[[Facts], Observation]

PROBES: Mapping[str, Probe] = MappingProxyType(
    {
        "memory-grows": memory.memory_grows,
        "memory-jumped": memory.memory_jumped,
        "siblings-flat": memory.siblings_flat,
        "siblings-grow-too": memory.siblings_grow_too,
        "level-near-limit": memory.level_near_limit,
        "oom-killed": memory.oom_killed,
        "rollout-before-onset": context.rollout_before_onset,
        "traffic-grew": context.traffic_grew,
        "traffic-explains-growth": context.traffic_explains_growth,
        "memory-outgrows-traffic": context.memory_outgrows_traffic,
        "node-short-of-memory": context.node_short_of_memory,
        "upstream-slow": context.upstream_slow,
        "origin-in-callee": context.origin_in_callee,
        "new-log-lines": context.new_log_lines,
        "warning-events": context.warning_events,
    }
)


class _Entry(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


class RefuterSpec(_Entry):
    """A probe that refutes the cause when it answers yes (or no, if ``when`` says so)."""

    probe: str
    when: Literal["yes", "no"] = "yes"
    claim: str
    """What would be the case if the cause were wrong."""


class ActionSpec(_Entry):
    """A typed action that would address the cause."""

    type: Literal["RestartDeployment", "ScaleDeployment"]
    why: str
    confidence_factor: float = Field(gt=0, le=1)
    """Share of the cause's confidence."""


class Cause(_Entry):
    """One hypothesis."""

    kind: Word
    name: str
    """In words: ``memory leak``."""
    explains: Annotated[tuple[str, ...], Field(min_length=1)]
    """Incident types."""
    prior: float = Field(gt=0, lt=1)
    requires: str
    """Probe without which the cause makes no sense: a no refutes it."""
    weights: dict[str, float]
    """Probe → log-odds of a yes; a no counts a quarter of it against."""
    refuters: Annotated[tuple[RefuterSpec, ...], Field(min_length=1, max_length=3)]
    summary: str
    summary_with_rollout: str = ""
    explanation: str
    actions: tuple[ActionSpec, ...] = ()

    @field_validator("requires")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in PROBES:
            raise ValueError(f"unknown probe {name}; known: {', '.join(sorted(PROBES))}")
        return name

    @field_validator("weights")
    @classmethod
    def _all_known(cls, weights: dict[str, float]) -> dict[str, float]:
        for name in weights:
            cls._known(name)
        return weights

    @field_validator("refuters")
    @classmethod
    def _refuters_known(cls, refuters: tuple[RefuterSpec, ...]) -> tuple[RefuterSpec, ...]:
        for one in refuters:
            cls._known(one.probe)
        return refuters


class CauseFile(_Entry):
    """One file."""

    causes: tuple[Cause, ...]


def load_causes(directory: Path) -> tuple[Cause, ...]:
    """Read all ``*.yaml`` of a folder.

    Raises:
        ConfigError: a file is unreadable or invalid, a kind is there twice, or there is no cause at all.
    """
    causes: list[Cause] = []
    for path in sorted(directory.glob("*.yaml")):
        try:
            causes.extend(CauseFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))).causes)
        except ValidationError as error:
            raise ConfigError(f"{path}: {describe(error)}") from error
        except (OSError, yaml.YAMLError) as error:
            raise ConfigError(f"{path}: {' '.join(str(error).split())}") from error
    kinds = [cause.kind for cause in causes]
    if not kinds or len(set(kinds)) != len(kinds):
        raise ConfigError(f"{directory}: need causes (*.yaml), each kind once")
    return tuple(causes)

"""Probes as data: questions that a query, a log line, an event or a pod's state answers, written in the catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterable
from string import Formatter, Template
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator
from pydantic.alias_generators import to_camel

from analysis.contract import RcaRequest
from analysis.logs.context import stream_selector
from analysis.rca.subject import subjects_of
from analysis.telemetry.query import Matcher, among, equal, matching
from analysis.telemetry.scope import bare
from analysis.workloads import pod_matcher

ProbeName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,30}$")]
PLACEHOLDERS: Final = frozenset({"pods", "namespace", "nodes", "claim", "streams"})
WORDS: Final = frozenset({"before", "after", "name", "count"})


class Entry(BaseModel):
    """Base: camelCase keys, immutable, unknown keys are errors."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


def _placeholders(text: str) -> str:
    template = Template(text)
    if not template.is_valid() or not set(template.get_identifiers()) <= PLACEHOLDERS:
        known = ", ".join(f"${{{name}}}" for name in sorted(PLACEHOLDERS))
        raise ValueError(f"placeholders are {known}; write $$ for a dollar sign")
    return text


def _with_braces(text: str) -> str:
    if names := bare(Template(text).safe_substitute(dict.fromkeys(PLACEHOLDERS, 'a="b"'))):
        raise ValueError(f"write {names[0]}{{}}: a metric without braces cannot be limited to one cluster")
    return text


def words_only(text: str, known: Iterable[str]) -> str:
    """``text``, if it names no other words in braces than ``known``.

    Raises:
        ValueError: it does.
    """
    named = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
    if not named <= set(known):
        raise ValueError(f"texts may name {', '.join(f'{{{word}}}' for word in sorted(known))}")
    return text


def _text(text: str) -> str:
    return words_only(text, WORDS)


def _line_text(text: str) -> str:
    return words_only(text, {"count", "name"})


class MetricProbe(Entry):
    """Compares what a PromQL expression says since the onset with the five minutes before it.

    The answer is yes when all conditions hold for one series; with ``by``, the series that rose most is judged.
    """

    promql: str
    by: str = ""
    """Label that tells the series apart; its value is ``{name}`` in the texts."""
    blames: bool = False
    """The label's value names the workload or Service that is to blame."""
    above: float | None = None
    """Since the onset."""
    below: float | None = None
    rise_by: float | None = None
    rise_share: float | None = None
    """Of the value before."""
    fall_share: float | None = None
    unit: Literal["", "s", "share", "cores", "bytes", "/s"] = ""
    text: Annotated[str, AfterValidator(_text)]
    """With ``{before}``, ``{after}`` and ``{name}``."""
    unknown: str = "no such metrics"

    _check = field_validator("promql")(_placeholders)
    _bounded = field_validator("promql")(_with_braces)

    @model_validator(mode="after")
    def _some_condition(self) -> MetricProbe:
        if all(one is None for one in (self.above, self.below, self.rise_by, self.rise_share, self.fall_share)):
            raise ValueError("needs a condition: above, below, riseBy, riseShare or fallShare")
        return self


class LogProbe(Entry):
    """Counts lines since the onset; yes when there are enough and clearly more per minute than before."""

    logql: str
    at_least: int = Field(default=3, ge=1)
    more_by: float = Field(default=3.0, ge=1)
    """Factor of the rate before."""
    text: Annotated[str, AfterValidator(_line_text)]
    """With ``{count}`` and ``{name}``."""

    _check = field_validator("logql")(_placeholders)


class StateProbe(Entry):
    """Looks at pod states and Kubernetes events; yes when any of what is named is seen."""

    waiting: tuple[str, ...] = ()
    """Reasons for which a container waits."""
    ended: tuple[str, ...] = ()
    """Reasons for which a container ended."""
    events: tuple[str, ...] = ()
    """Reasons of events since shortly before the onset."""
    pattern: str = ""
    """RE that an event's message, or the reason why no node fits, must match as well."""
    where: Literal["own", "neighbours"] = "own"
    unschedulable: bool = False
    """Pods that no node fits count too."""
    starting: bool = False
    """What only a start can meet: a pod that is ready got over it, whenever that was."""
    text: Annotated[str, AfterValidator(_text)]
    """With ``{name}`` and ``{count}``; what the API server says is added."""
    absent: str
    """When nothing of it is seen."""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, text: str) -> str:
        try:
            re.compile(text)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return text


class ProbeSpec(Entry):
    """One probe: exactly one of the three kinds."""

    name: ProbeName
    metric: MetricProbe | None = None
    log: LogProbe | None = None
    state: StateProbe | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> ProbeSpec:
        if sum(one is not None for one in (self.metric, self.log, self.state)) != 1:
            raise ValueError("needs exactly one of metric, log and state")
        return self


def fill(query: str, request: RcaRequest) -> str:
    """The query for this incident. Values are quoted matchers: nothing that comes from the cluster is query text."""
    target = request.incident.target
    space = equal("namespace", target.namespace)
    values = {
        "namespace": str(space),
        "pods": f"{space},{pods_of(request)}",
        "nodes": str(_nodes(pod.node for pod in request.pods)) if target.kind != "Node" else str(_nodes([target.name])),
        "claim": f"{space},{_claims(request)}",
        "streams": stream_selector(subjects_of(request)[0]),
    }
    return Template(query).substitute(values)


def _claims(request: RcaRequest) -> Matcher:
    """The volume itself, or those of the workloads; a name that no claim has where they mount none."""
    target = request.incident.target
    if target.kind == "PersistentVolumeClaim":
        return equal("persistentvolumeclaim", target.name)
    subjects = {one.name for one in subjects_of(request)}
    names = [name for one in request.workloads if one.target.name in subjects for name in one.claims]
    return among("persistentvolumeclaim", names or [""])


def pods_of(request: RcaRequest) -> Matcher:
    """The pods that the incident is about, past and present: the workload's, or those behind the Service or volume."""
    subjects = subjects_of(request)
    if len(subjects) == 1:
        return pod_matcher(subjects[0])
    return matching("pod", "|".join(pod_matcher(one).value for one in subjects))


def _nodes(names: Iterable[str]) -> Matcher:
    known = sorted({name for name in names if name})
    return among("node", known) if known else Matcher("node", "!=", "")

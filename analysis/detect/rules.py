"""Rules as data: what ``config/rules/*.yaml`` may say. Unknown keys, duplicate names and unitless times are errors."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from analysis.units import Duration, Size
from crds.v1alpha1.base import Severity, Word


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from error
    return pattern


Share = Annotated[float, Field(gt=0, le=1)]
Pattern = Annotated[str, StringConstraints(max_length=200), AfterValidator(_compiles)]
MetricName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$", max_length=200)]


class _Rule(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,62}$")]
    description: str
    type: Word
    """Type of the incident that it opens."""
    severity: Severity
    enabled: bool = True
    only_in: tuple[Pattern, ...] = ()
    """Namespaces that it looks at, as patterns; empty means all. Overrides set it."""
    not_in: tuple[Pattern, ...] = ()
    min_evaluations: int = Field(default=2, ge=1, le=20)
    """Consecutive evaluations that must agree before the candidate is reported."""
    hold: Duration = 15.0
    """How long a reported candidate stays after the last evaluation that confirmed it."""


class _ContainerRule(_Rule):
    metric: MetricName
    limit: MetricName
    started: MetricName | None = None
    """When each container started (Unix seconds): tells a new container from one that only the agent saw late."""
    window: Duration
    warm_up: Duration
    """A container's first seconds, which are not looked at."""
    baseline: Duration
    """History before the onset that counts as knowing the container."""


class GrowthRule(_ContainerRule):
    """Sustained growth of a container's metric towards its limit."""

    detector: Literal["growth"]
    min_samples: int = Field(ge=4, le=100)
    min_span: Duration
    """Growth must last this long when the baseline is known."""
    min_span_without_baseline: Duration
    min_growth: Size
    min_growth_share: Share
    """Of the limit."""
    min_monotonicity: Share
    """Kendall's tau of the samples since the onset."""
    max_step_share: Share
    """Largest single rise, as a share of the growth: a jump is not a leak."""
    horizon: Duration
    """Report when the limit would be reached within this time."""
    min_end_share: Share
    """Growth that slows down must still end above this share of the limit; a cache that fills up does not."""
    recent: Duration
    min_recent_share: Share
    """Slope over ``recent`` as a share of the whole slope: growth that has stopped is no longer a leak."""
    min_elapsed_share: float = Field(default=0.0, ge=0, lt=1)
    """Part of the way from onset to limit that must be behind: a curve may yet show that it bends."""
    critical_within: Duration
    clear_factor: float = Field(default=1.5, ge=1, le=5)
    """A reported leak stays until it fails thresholds this much easier."""


class StepRule(_ContainerRule):
    """A sudden rise of a container's metric that stays."""

    detector: Literal["step"]
    within: Duration
    """The rise happens in this time."""
    min_rise_share: Share
    """Of the limit."""
    min_jump_share: Share
    """Of the rise, that happens at once: a ramp is not a jump."""
    min_level_share: Share
    """Of the limit, after the rise."""
    stay_share: Share
    """The level must stay above baseline plus this share of the rise."""


class FillRule(_Rule):
    """A disk, volume or other bounded store that is nearly full, or will be soon."""

    detector: Literal["fill"]
    of: Literal["node", "volume", "container"]
    """What the series are about: labels ``node``, ``namespace`` and ``persistentvolumeclaim``, or a container's."""
    free: MetricName
    """Bytes that are left."""
    capacity: MetricName
    """Bytes in all."""
    matching: dict[str, Pattern] = {}
    """Label → RE2 pattern."""
    by: tuple[MetricName, ...] = Field(min_length=1)
    """Labels that tell one store from another."""
    window: Duration
    refresh: Duration = 16.0
    """Longest time between two readings: the kubelet looks at volumes once a minute, however often it is asked."""
    threshold: Share
    """Used share from which it counts when it has risen within the window."""
    full: Share
    """Used share that counts in any case."""
    min_rise_share: Share
    """Of the capacity."""
    min_share: Share
    """Used share below which no forecast is made."""
    min_samples: int = Field(ge=4, le=100)
    min_span: Duration
    min_growth_share: Share
    """Of the capacity."""
    min_monotonicity: Share
    max_step_share: Share
    """Largest single rise, as a share of the growth: one big file is no trend."""
    recent: Duration
    min_recent_share: Share
    """Slope over ``recent`` as a share of the whole slope: growth that has stopped fills nothing."""
    horizon: Duration
    """Report when it would be full within this time."""
    min_elapsed_share: float = Field(ge=0, lt=1)
    """Part of the way from onset to full that must be behind: most that grows stops, or is cleaned up."""
    critical_within: Duration
    clear_factor: float = Field(default=1.3, ge=1, le=5)
    what: str


class AbsentRule(_Rule):
    """Metrics of a workload that have gone, while its pods run and the metrics of others keep coming."""

    detector: Literal["absent"]
    metric: MetricName
    """1 for each scrape of a pod that succeeds, 0 for one that fails: ``up``."""
    matching: dict[str, Pattern] = {}
    """Label → RE2 pattern."""
    alive: MetricName
    """A metric that the node has of every container that runs."""
    started: MetricName
    """When each container started, Unix seconds."""
    window: Duration
    lasting: Duration
    """No scrape has succeeded for this long."""
    min_known: Duration
    """How long the metrics must have been there before."""
    warm_up: Duration
    """A pod's first seconds, which are not looked at."""
    min_others_share: Share
    """Of the other workloads that had metrics, those that must have them still: else it is the scraper that fails."""


class SignalRule(_Rule):
    """A fault that the API server reports itself."""

    detector: Literal["signal"]
    signals: Annotated[tuple[str, ...], Field(min_length=1)]
    reasons: tuple[str, ...] = ()
    """Kinds within the signals' types; empty means any."""
    except_reasons: tuple[str, ...] = ()
    matching: Pattern = ""
    """RE2-like pattern that the message must contain."""
    min_count: int = Field(default=1, ge=1)
    min_pods: int = Field(default=0, ge=0)
    lasting: Duration = 0.0
    """How long a state must have held, from when it began."""
    active: Duration
    """How long after the last signal the fault counts as on."""
    min_evaluations: int = Field(default=1, ge=1, le=20)
    counted: Annotated[str, StringConstraints(max_length=40)] = ""
    """What is counted, for the summary: ``restarts``. Empty: the count is not worth saying."""
    confidence_percent: int = Field(default=98, ge=1, le=99)
    summary: str


class CounterSelector(BaseModel):
    """Counters to take the rate of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: MetricName
    matching: dict[str, Pattern] = {}
    """Label → RE2 pattern."""


class _ServiceRule(_Rule):
    rate_window: Duration = 60.0
    lasting: Duration
    """The condition must hold at every step of this time."""
    step: Duration = 10.0
    min_rate: float = Field(gt=0)
    """Events per second below which the workload is not judged."""
    warm_up: Duration = 0.0
    """First seconds of a pod's newest container, which are not looked at: caches are cold, code is not compiled yet."""

    @property
    def looks_back(self) -> float:
        """Seconds of rates that one evaluation needs."""
        return self.lasting


class _RequestRule(_ServiceRule):
    @property
    def looks_back(self) -> float:
        """See the base; what a warm-up hides may tell when a fault began."""
        return self.lasting + (self.warm_up + self.rate_window if self.warm_up else 0.0)


class RatioRule(_RequestRule):
    """Share of two counters, summed over a workload's pods."""

    detector: Literal["ratio"]
    numerator: CounterSelector
    denominator: CounterSelector
    threshold: Share
    clear: Share
    before: Duration = 0.0
    """Time before ``lasting`` in which the share was at most half the threshold: what was always so is not called."""
    what: str

    @property
    def looks_back(self) -> float:
        """See the base."""
        return max(super().looks_back, self.lasting + self.before)


class ThrottleRule(_ServiceRule):
    """Containers that use all the CPU they may and are held back for it."""

    detector: Literal["throttle"]
    throttled: CounterSelector
    periods: CounterSelector
    usage: CounterSelector
    """CPU seconds."""
    quota: MetricName
    period: MetricName
    started: MetricName | None = None
    threshold: Share
    """Of the periods."""
    clear: Share
    min_used_share: Share
    """Of the limit that must be used: a small limit throttles what hardly uses any."""


class QuantileRule(_RequestRule):
    """Quantile of a histogram, summed over a workload's pods."""

    detector: Literal["quantile"]
    histogram: CounterSelector
    """Name of the ``_bucket`` counters."""
    quantile: Share
    threshold: Duration
    clear: Duration
    what: str


Rule = Annotated[
    GrowthRule | StepRule | FillRule | AbsentRule | SignalRule | RatioRule | ThrottleRule | QuantileRule,
    Field(discriminator="detector"),
]


class RuleSet(BaseModel):
    """All rules that are switched on, and a version that changes with their text."""

    model_config = ConfigDict(frozen=True)

    rules: tuple[Rule, ...]
    version: str

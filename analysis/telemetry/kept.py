"""What the store knows of a metric that somebody reads."""

from __future__ import annotations

from dataclasses import dataclass, field

from analysis.telemetry.views import Log


@dataclass(slots=True)
class Metric:
    """One metric that is read. Times are Unix seconds."""

    name: str
    number: int
    """Tells metrics apart in arrays."""
    exact: bool
    """Counters and times, kept in float64."""
    seconds: float
    """How far back somebody looks."""
    asked: float
    native: bool = False
    """Of native histograms: each series is many here."""
    log: Log = field(default_factory=Log)
    complete_from: float | None = None
    """Since when nothing is missing; None until it has been read once."""
    arrived: float = float("-inf")
    """When samples last came by themselves."""
    newest: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Missing:
    """What has to be read once: ``metric[seconds]``."""

    metric: str
    seconds: float
    native: bool = False

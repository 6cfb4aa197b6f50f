"""What is learned, as data: ``config/baselines/*.yaml``. Unknown keys, names used twice, unitless times are errors."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator
from pydantic.alias_generators import to_camel

from analysis.configfile import ConfigError, read_yaml
from analysis.telemetry.query import Matcher, quote
from analysis.telemetry.scope import bare
from analysis.units import Duration
from crds.v1alpha1.base import Word

_POD = quote(r"(.*?)(-[a-z0-9]{8,10}-[a-z0-9]{5}|-[a-z0-9]{5}|-[0-9]+)?")
"""RE2: a pod's name without what its controller generated, as ``analysis.workloads.family``."""
MAX_POINTS = 10_000
"""Of one series in one answer; Prometheus refuses more than 11,000."""


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


class Alone(_Part):
    """A deviation of this series to this side is an incident by itself."""

    side: Literal["low", "high"]
    type: Word


class LearnedSeries(_Part):
    """One quantity of each workload."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
    what: str
    unit: str
    query: str
    per: str | None = None
    """Divide the sum by the sum of this."""
    quantile: float | None = Field(default=None, gt=0, lt=1)
    """The query is of a histogram's buckets, ``NAME_bucket{…}``; where it is native, of that."""
    min_share: float = Field(gt=0, le=10)
    """Smallest deviation, as a share of what is expected."""
    min_change: float = Field(gt=0)
    """Smallest deviation in the series' own unit."""
    alone: Alone | None = None

    @field_validator("query", "per")
    @classmethod
    def _with_braces(cls, text: str | None) -> str | None:
        if text and (names := bare(text.replace("$scope", 'a="b"'))):
            raise ValueError(f"write {names[0]}{{$scope}}: a metric without braces cannot be limited")
        return text

    def promql(self, scope: Matcher | str) -> str:
        """The series of all workloads in scope, with the labels namespace and workload."""
        by = "namespace, workload"
        if self.quantile is not None:
            native = _summed(self.query.replace("_bucket{", "{"), scope, by)
            classic = _summed(self.query, scope, f"{by}, le")
            return " or ".join(f"histogram_quantile({self.quantile:g}, {one})" for one in (native, classic))
        if self.per is not None:
            whole = _summed(self.per, scope, by)
            # without a single error there is no counter of errors: that is zero, not a gap
            return f"({_summed(self.query, scope, by)} or 0 * {whole}) / ({whole} > 0)"
        return _summed(self.query, scope, by)


class Learning(_Part):
    """One file."""

    step: Duration
    history: Duration
    retrain: Duration
    series: tuple[LearnedSeries, ...] = Field(min_length=1, max_length=20)
    version: str = ""


def _summed(query: str, scope: Matcher | str, by: str) -> str:
    inner = query.replace("$scope", str(scope))
    return f'sum by ({by}) (label_replace({inner}, "workload", "$1", "pod", {_POD}))'


def load_learning(directory: Path) -> Learning:
    """Read the one file of a folder.

    Raises:
        ConfigError: it is missing, unreadable or invalid.
    """
    paths = sorted(directory.glob("*.yaml"))
    if len(paths) != 1:
        raise ConfigError(f"{directory}: {len(paths)} files (*.yaml), there must be one")
    found, text = read_yaml(paths[0], Learning)
    names = [one.name for one in found.series]
    if len(set(names)) < len(names):
        raise ConfigError(f"{paths[0]}: a series is named twice")
    if found.history / found.step > MAX_POINTS:
        raise ConfigError(f"{paths[0]}: history / step is more than {MAX_POINTS} points: make step longer")
    return found.model_copy(update={"version": hashlib.sha256(text.encode()).hexdigest()[:12]})

"""Reading the lines around an onset, bounded in number and in time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from analysis.logs.templates import NewTemplate, literal_part, new_templates
from analysis.telemetry.loki import Loki
from analysis.telemetry.query import equal, quote, selector
from analysis.workloads import pod_matcher
from crds.v1alpha1.base import TargetRef

MAX_LINES = 2000
MAX_TEMPLATES = 5
BEFORE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class LogContext:
    """What the logs say that they did not say before."""

    selector: str
    new: tuple[NewTemplate, ...]
    lines_before: int
    lines_after: int
    sampled: bool
    """True when there were more lines than were read."""


def stream_selector(target: TargetRef) -> str:
    """LogQL selector of a workload's container logs."""
    return selector("", equal("k8s_namespace_name", target.namespace), pod_matcher(target, "k8s_pod_name"))


def template_query(streams: str, masked: str) -> str:
    """LogQL that finds the lines of a template."""
    return f"{streams} |= {quote(literal_part(masked)[:120])}"


async def read_context(loki: Loki, target: TargetRef, onset: datetime, end: datetime) -> LogContext:
    """Compare the lines since the onset with those of the ten minutes before it.

    Raises:
        SourceError: Loki does not answer.
    """
    streams = stream_selector(target)
    before, after = await asyncio.gather(
        loki.lines(streams, onset - BEFORE, onset, MAX_LINES, newest=True),
        loki.lines(streams, onset, max(end, onset + timedelta(seconds=1)), MAX_LINES, newest=False),
    )
    return LogContext(
        selector=streams,
        new=await asyncio.to_thread(new_templates, before, after, MAX_TEMPLATES) if before else (),
        lines_before=len(before),
        lines_after=len(after),
        sampled=MAX_LINES in {len(before), len(after)},
    )

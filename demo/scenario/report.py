"""The results as a table for people and as JSON for programs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from rich.table import Table
from rich.text import Text

from demo.scenario.judge import match
from demo.scenario.memory import Sample, figures
from demo.scenario.run import Result
from demo.scenario.seen import Seen, Verified

__all__ = ["quantile", "report", "sizes_of", "table"]


def report(
    results: Sequence[Result], elsewhere: Sequence[Seen], samples: Sequence[Sample], about: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything, by run; `about` says on what it ran. Delays are in seconds."""
    hard = [item.delay for item in results if item.scenario.hard and item.delay is not None]
    return {
        **about,
        "runs": [_run(item, samples) for item in results],
        "elsewhere": [_incident(item, None) for item in elsewhere],
        "summary": {
            "runs": len(results),
            "passed": sum(not item.problems for item in results),
            "hardFaults": {
                "n": len(hard),
                "delayMedianSeconds": quantile(hard, 0.5),
                "delayP95Seconds": quantile(hard, 0.95),
            },
            "predictions": dict(Counter(one.outcome for item in results for one in item.incidents if one.outcome)),
        },
    }


def table(results: Sequence[Result]) -> Table:
    """One line per run; text of the cluster is never read as markup."""
    shown = Table(box=None, pad_edge=False)
    for heading in (
        "scenario",
        "run",
        "delay",
        "incidents",
        "type → target",
        "first cause",
        "holds",
        "action",
        "verdict",
        "",
    ):
        shown.add_column(heading, justify="right" if heading in ("run", "delay", "incidents") else "left")
    for item in sorted(results, key=lambda one: (one.scenario.name, one.number)):
        seen = item.incidents
        cells = [
            item.scenario.name,
            str(item.number),
            "" if item.delay is None else f"{item.delay:.0f} s",
            str(len(seen)),
            "\n".join(f"{one.type} → {one.target}" for one in seen),
            "\n".join(f"{one.cause} {one.confidence} %" if one.cause else "" for one in seen),
            "\n".join(_holds(one.verified) for one in seen),
            "\n".join(one.action for one in seen),
            "\n".join(one.verdict for one in seen),
        ]
        good = not item.problems
        shown.add_row(
            *(Text(cell) for cell in cells), Text("pass" if good else "FAIL", "green" if good else "bold red")
        )
    return shown


def _holds(verified: Verified | None) -> str:
    """Of the queries of a report, those that say the same when they are run again."""
    if verified is None:
        return ""
    return f"{verified.same}/{verified.same + len(verified.different) + verified.unchecked}"


def sizes_of(written: Mapping[str, Any]) -> Table:
    """MiB of the platform's parts during robustness runs: at the beginning, at most, at the end."""
    shown = Table(box=None, pad_edge=False)
    for heading in ("scenario", "run", "part", "first", "highest", "last"):
        shown.add_column(heading, justify="left" if heading in ("scenario", "part") else "right")
    for run in written["runs"]:
        if run["group"] == "robustness":
            for part, found in run["memoryMiB"].items():
                cells = [f"{found[key]:.0f}" for key in ("first", "highest", "last")]
                shown.add_row(run["scenario"], str(run["run"]), Text(part), *cells)
    return shown


def quantile(values: Sequence[float], share: float) -> float | None:
    """By nearest rank, so that it is one of the values; None of nothing."""
    if not values:
        return None
    return round(sorted(values)[max(0, math.ceil(share * len(values)) - 1)], 1)


def _run(item: Result, samples: Sequence[Sample]) -> dict[str, Any]:
    sizes = figures(samples, item.started_at, item.started_at + timedelta(seconds=item.seconds))
    return {
        "scenario": item.scenario.name,
        "group": item.scenario.group,
        "fault": item.scenario.title,
        "run": item.number,
        "namespace": item.namespace,
        "startedAt": _time(item.started_at),
        "injectedAt": _time(item.injected_at),
        "delaySeconds": None if item.delay is None else round(item.delay, 1),
        "hard": item.scenario.hard,
        "incidentCount": len(item.incidents),
        "incidents": [_incident(one, item.injected_at) for one in item.incidents],
        "seconds": round(item.seconds, 1),
        "expected": _expected(item),
        "passed": not item.problems,
        "problems": list(item.problems),
        "memoryMiB": {name: asdict(found) for name, found in sizes.items()},
    }


def _expected(item: Result) -> list[dict[str, Any]]:
    """Each incident that was to come, its first cause, and the name of the one that came, if one did."""
    found = match(item.scenario.expect, item.incidents)
    return [
        {
            "type": list(wanted.type),
            "target": list(wanted.target),
            "cause": list(wanted.cause or ()),
            "causeTarget": list(wanted.cause_target or ()),
            "incident": came.name if came is not None else None,
        }
        for wanted, came in [*found.pairs, *((wanted, None) for wanted in found.missing)]
    ]


def _incident(one: Seen, injected_at: datetime | None) -> dict[str, Any]:
    return {
        "namespace": one.namespace,
        "name": one.name,
        "type": one.type,
        "target": one.target,
        "severity": one.severity,
        "seenAt": _time(one.seen_at),
        "delaySeconds": None if injected_at is None else round((one.seen_at - injected_at).total_seconds(), 1),
        "onsetAt": _time(one.started_at),
        "predicted": one.predicted,
        "expectedAt": _time(one.expected_at),
        "predictionOutcome": one.outcome or None,
        "harmedAt": _time(one.harmed_at),
        "state": one.state,
        "cause": one.cause,
        "causeTarget": one.cause_target,
        "confidencePercent": one.confidence,
        "causes": [asdict(cause) for cause in one.causes],
        "verified": None if one.verified is None else asdict(one.verified),
        "action": one.action,
        "verdict": one.verdict,
        "reopened": one.reopened,
        "signals": list(one.signals),
        "timeline": list(one.timeline),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

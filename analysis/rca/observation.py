"""What a probe found out."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from analysis.words import line
from crds.v1alpha1.base import TargetRef, Window
from crds.v1alpha1.rcareport import MAX_QUERY_CHARS, Evidence, EvidenceKind


@dataclass(frozen=True, slots=True)
class Observation:
    """An answer to a yes-or-no question about the facts, with the query that shows it.

    ``answer`` is None when there are no data to answer from; ``strength`` in 0..1 scales the weight of a yes.
    """

    answer: bool | None
    summary: str
    kind: EvidenceKind = EvidenceKind.METRIC
    strength: float = 1.0
    query: str = ""
    at: datetime | None = None
    result: Any = None
    """What was measured, JSON-ready; its digest lets anyone compare a later run."""
    blames: TargetRef | None = None
    """Where the cause lies, when that is not the incident's own target."""

    def evidence(self, name: str, window: Window) -> Evidence:
        """As the report shows it."""
        return Evidence(
            id=name,
            kind=self.kind,
            summary=line(self.summary),
            at=self.at,
            query=self.query if len(self.query) <= MAX_QUERY_CHARS else "",
            window=window if self.query else None,
            result_digest=digest(self.result) if self.result is not None else None,
        )


def unknown(why: str, kind: EvidenceKind = EvidenceKind.METRIC) -> Observation:
    """No data to answer from."""
    return Observation(answer=None, summary=why, kind=kind)


def rounded(value: Any) -> Any:
    """Floats to six significant digits, NaN to null: equal data give equal bytes."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value


def digest(value: Any) -> str:
    """SHA-256 of canonical JSON."""
    text = json.dumps(rounded(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

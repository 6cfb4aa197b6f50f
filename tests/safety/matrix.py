"""Results as a table: one row per area, one column per who refused, and every wrong one in full."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from tests.safety.case import ALLOWED, RBAC, SCHEMA, Result

OTHER = "neither"
COLUMNS = (RBAC, "policy", "webhook", SCHEMA, ALLOWED, OTHER)
"""Who answered: RBAC, an admission policy, a webhook, the type's own schema."""


def table(results: Sequence[Result]) -> str:
    """For people."""
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    wrong: Counter[str] = Counter()
    for result in results:
        rows[result.case.area][_column(result.seen)] += 1
        wrong[result.case.area] += not result.ok
    heads = [head for head in COLUMNS if any(head in row for row in rows.values())] + ["requests", "wrong"]
    width = max(map(len, rows), default=0)
    lines = [f"{'':{width}}  " + "  ".join(heads)]
    for area, counts in rows.items():
        cells = [counts.get(head, 0) for head in heads[:-2]] + [counts.total(), wrong[area]]
        shown = "  ".join(f"{cell or '·':>{len(head)}}" for cell, head in zip(cells, heads, strict=True))
        lines.append(f"{area:{width}}  {shown}")
    return "\n".join(lines)


def _column(seen: str) -> str:
    return next((head for head in COLUMNS if seen.startswith(head)), OTHER)


def wrong_ones(results: Sequence[Result]) -> list[str]:
    """A line for each that did not come out as it must."""
    return [
        f"WRONG {r.case.area}: {r.case.name} as {r.case.who.name}: expected "
        f"{ALLOWED if r.case.allowed else 'a refusal by ' + (' or '.join(r.case.by) or 'anybody')}"
        f"{f' saying {r.case.says!r}' if r.case.says else ''}, got {r.seen}: {r.message[:400]}"
        for r in results
        if not r.ok
    ]


def document(results: Sequence[Result]) -> dict[str, Any]:
    """For programs."""
    return {
        "requests": len(results),
        "refused": sum(r.seen != ALLOWED for r in results),
        "wrong": sum(not r.ok for r in results),
        "results": [
            {"area": r.case.area, "name": r.case.name, "as": r.case.who.name, "by": r.seen, "ok": r.ok} for r in results
        ],
    }

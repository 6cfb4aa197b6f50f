"""``python -m benchmarks SUITE [ARGS]``, ``python -m benchmarks accuracy``, ``python -m benchmarks bench``."""

from __future__ import annotations

import importlib
import sys

from benchmarks.data import Missing
from benchmarks.report import BUILD, Row, accuracy_table, save

SUITES = {
    "nab": "benchmarks.nab",
    "asd": "benchmarks.asd",
    "generated": "benchmarks.generated",
    "storm": "benchmarks.storm",
    "logs": "benchmarks.logs",
    "rca": "benchmarks.rca",
    "live": "benchmarks.live",
}
"""Accuracy suites: modules with ``rows() -> list[Row]`` and ``run(argv) -> int``, imported when they are called."""
TOOLS = {
    "bench": "benchmarks.speed",
    "series": "benchmarks.series",
    "choose": "benchmarks.choose",
    "fuzz": "benchmarks.fuzz",
    "watch": "benchmarks.watch",
    "explain": "benchmarks.explain",
    "page": "benchmarks.page",
}
"""Modules with ``run(argv) -> int`` only."""


def accuracy() -> int:
    """All accuracy suites; what is missing on this machine is said and skipped. 1 when a floor is not met."""
    rows: list[Row] = []
    for name, module in SUITES.items():
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            rows += importlib.import_module(module).rows()
        except Missing as missing:
            print(f"SKIPPED {missing}", file=sys.stderr)
    save(BUILD / "accuracy.json", rows)
    print(accuracy_table(rows))
    return 1 if any(row.met is False for row in rows) else 0


def main(argv: list[str]) -> int:
    """Run one suite, or all."""
    known = {**SUITES, **TOOLS}
    if not argv or argv[0] not in {"accuracy", *known}:
        print(f"usage: python -m benchmarks {{accuracy,{','.join(known)}}} [ARGS]", file=sys.stderr)
        return 2
    if argv[0] == "accuracy":
        return accuracy()
    try:
        return int(importlib.import_module(known[argv[0]]).run(argv[1:]))
    except Missing as missing:
        print(f"SKIPPED {missing}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

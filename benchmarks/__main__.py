"""``python -m benchmarks SUITE [--data DIR]``: run one suite, or all of them, and print what they measured."""

from __future__ import annotations

import importlib
import sys

SUITES = {
    "logs": "benchmarks.logs",
    "rca": "benchmarks.rca",
}
"""Name → module with ``run(argv) -> int`` and ``rows() -> list[Row]``; imported only when asked for."""


def main(argv: list[str]) -> int:
    """Run the suites that the first argument names (``all`` for each); the worst exit code."""
    if not argv or argv[0] not in {*SUITES, "all"}:
        sys.stderr.write(f"usage: python -m benchmarks {{{','.join(SUITES)},all}} [--data DIR]\n")
        return 2
    names = list(SUITES) if argv[0] == "all" else [argv[0]]
    codes: list[int] = [importlib.import_module(SUITES[name]).run(argv[1:]) for name in names]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

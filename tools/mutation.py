"""Share of killed mutants by module, from what ``mutmut run`` left behind; exit code 1 below the floor."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter, defaultdict

FLOOR = 85
"""Per cent. Most survivors are changes in the text of a message, which nobody's test should pin."""
NOTICED = frozenset({"killed", "timeout", "suspicious", "segfault"})


def shares(listing: str) -> dict[str, tuple[int, int]]:
    """Killed and all mutants by module, from lines like ``controllers.policy.blast.x_taken__mutmut_1: killed``."""
    found: dict[str, Counter[bool]] = defaultdict(Counter)
    for line in listing.splitlines():
        name, colon, outcome = line.strip().partition(": ")
        if colon and "__mutmut_" in name and outcome != "not checked":
            module = name.rpartition(".")[0]
            found[module][outcome in NOTICED] += 1
    return {module: (counts[True], counts.total()) for module, counts in sorted(found.items())}


def main() -> int:
    """Entry point."""
    command = [sys.executable, "-m", "mutmut", "results", "--all", "true"]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    low = False
    for module, (killed, total) in shares(listing).items():
        share = 100 * killed / total
        low |= share < FLOOR
        print(f"{module:<40} {killed:>5} of {total:>5} killed  {share:5.1f} %")
    return 1 if low else 0


if __name__ == "__main__":
    sys.exit(main())

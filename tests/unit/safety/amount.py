"""How much is generated: a tenth in `make unit`, all of it in `make safety` (``IIRP_GENERATED=full``)."""

from __future__ import annotations

import os


def amount(full: int) -> int:
    """Examples to try."""
    return full if os.environ.get("IIRP_GENERATED") == "full" else full // 10

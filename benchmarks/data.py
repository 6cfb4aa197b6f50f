"""Where the public data sets are, and how a missing one is said."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT_ROOT = "../shared/bench-data"


class Missing(Exception):
    """A data set is not on this machine; the message says where a person can get it."""


def data_dir(name: str, source: str, given: str | None = None) -> Path:
    """Folder of a data set: ``given``, or ``$IIRP_BENCH_DATA/name``.

    Raises:
        Missing: it is not there.
    """
    path = Path(given) if given else Path(os.environ.get("IIRP_BENCH_DATA", DEFAULT_ROOT)) / name
    if not path.is_dir():
        raise Missing(f"{path} is not there (set IIRP_BENCH_DATA or --data); the set is public: {source}")
    return path

"""Compiles inner loops with numba where it is installed; without it the same functions run as they are, only slower.

A kernel that is decorated here keeps to what both understand: scalars, arrays, loops. So there is one text and one
answer. ``IIRP_NO_COMPILE=1`` turns compilation off, which is how the tests compare the two.

Machine code is cached beside the sources (``__pycache__/*.nbi``), in images too, whose build runs ``analysis.warm``.
But an image's files cannot be written, and numba reads no cache that it could not write: there a process gets a folder
of its own with a copy. Images are built and run with ``NUMBA_CPU_NAME=generic``, so that they fit every machine;
decoding and baselines are as fast so.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def _compiler() -> Callable[..., Any] | None:
    if os.environ.get("IIRP_NO_COMPILE") == "1":
        return None
    package = Path(__file__).resolve().parent
    if "NUMBA_CACHE_DIR" not in os.environ and not os.access(package, os.W_OK):
        _cache_elsewhere(package)
    try:
        from numba import njit
    except ImportError:
        return None
    return njit


def _cache_elsewhere(package: Path) -> None:
    """Copy the cache to where numba looks for it in ``NUMBA_CACHE_DIR``; for this process and those that it starts.

    The folder is private and goes with the process: whoever can write there runs code here.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="iirp-compiled-"))
    except OSError:  # nowhere at all: every start compiles
        return
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for entry in package.rglob("__pycache__/*.nb[ic]"):
        sources = entry.parent.parent
        copy = folder / f"{sources.name}_{hashlib.sha1(str(sources).encode()).hexdigest()}" / entry.name  # noqa: S324 numba's
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(entry, copy)
    os.environ["NUMBA_CACHE_DIR"] = str(folder)


_njit = _compiler()
COMPILED = _njit is not None
"""Whether kernels run as machine code in this process."""


def kernel(function: Kernel) -> Kernel:
    """Compile on first call and cache on disk; releases the GIL, so a server's event loop goes on."""
    if _njit is None:
        return function
    try:
        return _njit(cache=True, nogil=True)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # nowhere to write a cache: a read-only image
        return _njit(nogil=True)(function)  # type: ignore[no-any-return]


def inlined(function: Kernel) -> Kernel:
    """A kernel that is copied into its callers: for what runs several times per sample."""
    return function if _njit is None else _njit(inline="always")(function)

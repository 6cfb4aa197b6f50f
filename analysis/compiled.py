"""Compiles inner loops with numba where it is installed; without it the same functions run as they are, only slower.

A kernel that is decorated here keeps to what both understand: scalars, arrays, loops. So there is one text and one
answer. ``IIRP_NO_COMPILE=1`` turns compilation off, which is how the tests compare the two.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def _compiler() -> Callable[..., Any] | None:
    if os.environ.get("IIRP_NO_COMPILE") == "1":
        return None
    try:
        from numba import njit
    except ImportError:
        return None
    return njit


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

"""What a fault is: its parameters, its background work, and what a request suffers from it."""

from __future__ import annotations

import threading
from abc import abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

__all__ = ["MIB", "Fault", "FaultError", "InjectedError", "bounded", "filled"]

MIB = 1 << 20
_PATTERN = bytes(range(1, 256)) + b"\x01"  # no zero bytes: nothing may share or skip these pages


class FaultError(ValueError):
    """Unknown fault or unusable parameters; the message is one line."""


class InjectedError(RuntimeError):
    """What the `errors` fault raises inside a request."""


@dataclass(slots=True)
class Fault:
    """Base: parameters are the public fields, `run` is the background work, `on_request` what every request suffers."""

    NAME: ClassVar[str]

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set; the default has no background work."""

    def on_request(self) -> None:
        """Called at the start of each business request; may block or raise."""

    def exposition(self) -> bytes:
        """Further lines for /metrics."""
        return b""

    def clear(self) -> None:
        """Gives back what was taken."""

    def parameters(self) -> dict[str, Any]:
        """The public fields."""
        return {name: value for name, value in asdict(self).items() if not name.startswith("_")}

    @abstractmethod
    def check(self) -> None:
        """FaultError when a parameter is out of its bounds."""


def bounded(name: str, value: float, low: float, high: float) -> None:
    """FaultError unless the value lies between."""
    if not low <= value <= high:
        raise FaultError(f"{name} must be between {low:g} and {high:g}, not {value:g}")


def filled(size: int) -> bytes:
    """Bytes whose pages are really taken."""
    return (_PATTERN * (size // len(_PATTERN) + 1))[:size]

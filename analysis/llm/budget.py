"""What the model may cost: tokens per incident and day, money per day. Kept in a file: a restart forgets nothing."""

from __future__ import annotations

import json
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from analysis.config import ModelBudget

__all__ = ["Budget", "OverBudget", "Reservation"]

MAX_INCIDENTS = 4096


class OverBudget(Exception):
    """The call does not fit; the message says which budget and what is left."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Tokens set aside for one call until it is settled."""

    incident: str
    day: str
    prompt: int
    output: int


class Budget:
    """Counts tokens and money. Thread-safe; days are UTC."""

    def __init__(self, limits: ModelBudget, now: Callable[[], datetime], state: Path | None = None) -> None:
        self._limits = limits
        self._now = now
        self._state = state
        self._lock = threading.Lock()
        self._day = ""
        self._today = [0, 0]
        """Prompt and output tokens."""
        self._incidents: OrderedDict[str, int] = OrderedDict()
        self._load()

    def reserve(self, incident: str, prompt: int, output: int) -> Reservation:
        """Set tokens aside before a call.

        Raises:
            OverBudget: it would exceed a limit.
        """
        with self._lock:
            self._turn()
            limits, wanted = self._limits, prompt + output
            spent = self._incidents.get(incident, 0)
            if spent + wanted > limits.tokens_per_incident:
                left = max(0, limits.tokens_per_incident - spent)
                raise OverBudget(f"budget of this incident: {left} of {limits.tokens_per_incident} tokens left")
            if sum(self._today) + wanted > limits.tokens_per_day:
                left = max(0, limits.tokens_per_day - sum(self._today))
                raise OverBudget(f"budget of today: {left} of {limits.tokens_per_day} tokens left")
            if limits.money_per_day is not None:
                cost = self.cost(self._today[0] + prompt, self._today[1] + output)
                if cost > limits.money_per_day:
                    raise OverBudget(f"budget of today: {limits.money_per_day:g} {limits.currency} would be exceeded")
            self._add(incident, prompt, output)
            return Reservation(incident, self._day, prompt, output)

    def settle(self, held: Reservation, prompt: int | None = None, output: int | None = None) -> None:
        """Replace the estimate by what was used; without figures the estimate stands."""
        with self._lock:
            self._turn()
            if prompt is None or output is None:
                return
            more = (max(0, prompt) - held.prompt, max(0, output) - held.output)
            if held.day == self._day:
                self._add(held.incident, *more)
            else:
                self._charge(held.incident, sum(more))
            self._save()

    def release(self, held: Reservation) -> None:
        """Give everything back: nothing was sent."""
        self.settle(held, 0, 0)

    def cost(self, prompt: int, output: int) -> float:
        """In the currency of the settings."""
        limits = self._limits
        return (prompt * limits.price_per_million_prompt + output * limits.price_per_million_output) / 1e6

    def _turn(self) -> None:
        today = self._now().strftime("%Y-%m-%d")
        if today != self._day:
            self._day, self._today = today, [0, 0]

    def _add(self, incident: str, prompt: int, output: int) -> None:
        self._today = [max(0, self._today[0] + prompt), max(0, self._today[1] + output)]
        self._charge(incident, prompt + output)
        self._save()

    def _charge(self, incident: str, tokens: int) -> None:
        self._incidents[incident] = max(0, self._incidents.get(incident, 0) + tokens)
        self._incidents.move_to_end(incident)
        while len(self._incidents) > MAX_INCIDENTS:
            self._incidents.popitem(last=False)

    def _load(self) -> None:
        if self._state is None:
            return
        try:
            stored = json.loads(self._state.read_text(encoding="utf-8"))
            self._day, self._today = str(stored["day"]), [int(stored["prompt"]), int(stored["output"])]
            self._incidents = OrderedDict((str(name), int(used)) for name, used in stored["incidents"].items())
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            # What was spent is not known: today's budget counts as used, tomorrow starts anew.
            self._day = self._now().strftime("%Y-%m-%d")
            self._today = [self._limits.tokens_per_day, 0]
            self._incidents = OrderedDict()
            self._save()

    def _save(self) -> None:
        if self._state is None:
            return
        body = {
            "day": self._day, "prompt": self._today[0], "output": self._today[1], "incidents": dict(self._incidents),
        }  # fmt: skip
        fresh = self._state.with_suffix(".new")
        try:
            self._state.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(json.dumps(body), encoding="utf-8")
            os.replace(fresh, self._state)
        except OSError as error:
            raise OverBudget(f"what is spent cannot be recorded in {self._state}: {error.strerror}") from error

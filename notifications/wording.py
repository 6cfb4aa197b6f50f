"""Words of one's own: Jinja templates over a notification's fields, sandboxed, and tried when they are read.

The templates are the operator's and may hold markup of their medium. What they put in is foreign text and is escaped
for that medium on its way, whatever filter it went through.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Annotated

from jinja2 import StrictUndefined, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from crds.v1alpha1.base import Severity
from notifications.message import Event, Notification

__all__ = ["MAX_CHARACTERS", "MAX_LINES", "Escape", "Wording"]

MAX_CHARACTERS = 2500
MAX_LINES = 40
"""Slack takes 3,000 characters in a section, Teams 28 kB in a card."""

logger = logging.getLogger(__name__)
Escape = Callable[[object], str]


_SAMPLE = Notification(
    key="k", event=Event.OPENED, incident="uid", namespace="shop", name="payments-leak-x7k2q", type="MemoryLeak",
    severity=Severity.HIGH, target="deploy/payments", title="MemoryLeak in shop/deploy/payments", state="Diagnosed",
    cause="memory grows since rollout rev 7", action="Rollback deploy/payments", approval="payments-leak-x7k2q-1",
    url="https://iirp.example.com/incidents/shop/payments-leak-x7k2q", at="2026-01-31T14:06:52Z",
)  # fmt: skip
_OPTIONAL = ("cause", "action", "approval", "url")


@cache
def _environment(escape: Escape) -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, finalize=escape, trim_blocks=True, lstrip_blocks=True
    )
    made.globals.clear()  # nothing but the fields
    return made


def _rendered(template: str, notification: Notification, escape: Escape) -> str:
    return _environment(escape).from_string(template).render(notification.model_dump(mode="json"))


def _tried(template: str) -> str:
    """A mistake shows when the configuration is read, not in the first night that it is needed."""
    for empty, event in product(("", *_OPTIONAL), Event if template else ()):
        sample = _SAMPLE.model_copy(update={"event": event, **({empty: ""} if empty else {})})
        try:
            _rendered(template, sample, str)
        except TemplateSyntaxError as error:
            raise ValueError(f"line {error.lineno}: {error.message}") from error
        except Exception as error:  # expressions of somebody else's may raise anything
            where = f"for the event {event.value}" + (f", without {empty}" if empty else "")
            raise ValueError(f"{where}: {error}") from error
    return template


Template = Annotated[str, StringConstraints(max_length=4000), AfterValidator(_tried)]


class Wording(BaseModel):
    """Replaces the title, or the text below it; empty leaves the usual words. Buttons and links are not part of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Template = ""
    body: Template = ""

    def title_of(self, notification: Notification, escape: Escape) -> str:
        """One line, escaped for its medium. Summaries have their own."""
        lines = [] if notification.lines else self._lines(self.title, notification, escape)
        return " ".join(lines) if lines else escape(notification.title)

    def body_of(self, notification: Notification, escape: Escape) -> list[str]:
        """Lines, escaped for their medium; none where the usual words are to be used."""
        if notification.lines:
            return [escape(line) for line in notification.lines]
        return self._lines(self.body, notification, escape)

    def _lines(self, template: str, notification: Notification, escape: Escape) -> list[str]:
        if not template:
            return []
        try:
            text = _rendered(template, notification, escape)
        except Exception:  # as above; what there is to tell is told in the usual words
            logger.warning("a template fails for %s; the usual words are sent", notification.key, exc_info=True)
            return []
        return [line for line in text[:MAX_CHARACTERS].splitlines() if line.strip()][:MAX_LINES]

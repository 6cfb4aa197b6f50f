"""Configuration of the notifier. Secrets are files, never values: a configuration can be committed."""

from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from crds.v1alpha1.base import Severity
from notifications.message import Event
from notifications.wording import Wording

__all__ = [
    "Channel", "Email", "Listen", "PagerDuty", "QuietHours", "Route", "Settings", "SettingsError", "Slack", "Teams",
    "Webhook", "load",
]  # fmt: skip

Namespace = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
Glob = Annotated[str, StringConstraints(pattern=r"^[a-z0-9*?-]{1,63}$")]


class SettingsError(ValueError):
    """The file cannot be used; says where and why."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Slack(_Model):
    """An incoming webhook of a Slack app. The address is itself a secret."""

    type: Literal["slack"]
    url_file: Path
    signing_secret_file: Path | None = None
    """Of the same app: with it messages get the buttons Approve and Reject, which lead to the page (`listen`)."""
    templates: Wording = Wording()


class Teams(_Model):
    """A Teams workflow that posts cards: "When a Teams webhook request is received". The address is a secret."""

    type: Literal["teams"]
    url_file: Path
    templates: Wording = Wording()


class Webhook(_Model):
    """JSON to any address, signed with HMAC-SHA256."""

    type: Literal["webhook"]
    url: HttpUrl
    secret_file: Path


class PagerDuty(_Model):
    """Events API v2: one PagerDuty incident per Incident, resolved with it."""

    type: Literal["pagerduty"]
    routing_key_file: Path
    url: HttpUrl = HttpUrl("https://events.pagerduty.com/v2/enqueue")


class Email(_Model):
    """Plain text by SMTP; one thread per incident."""

    type: Literal["email"]
    host: str
    port: int = Field(default=587, ge=1, le=65535)
    starttls: bool = True
    username: str = ""
    password_file: Path | None = None
    sender: str
    to: Annotated[list[str], Field(min_length=1, max_length=50)]
    templates: Wording = Wording()


Channel = Annotated[Slack | Teams | Webhook | PagerDuty | Email, Field(discriminator="type")]


class QuietHours(_Model):
    """From ``start`` to ``end`` (may pass midnight) notifications wait, unless their severity is in ``unless``."""

    start: time
    end: time
    timezone: str = "UTC"
    unless: frozenset[Severity] = frozenset({Severity.CRITICAL})

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError) as error:
            raise ValueError(f"no time zone {value!r}") from error
        return value


class Route(_Model):
    """What goes where. Empty lists match everything; all routes are tried, none stops the others."""

    channels: Annotated[list[str], Field(min_length=1)]
    namespaces: list[Glob] = []
    severities: list[Severity] = []
    events: list[Event] = []
    quiet_hours: QuietHours | None = None


class Listen(_Model):
    """Where Slack's button requests come in (`/slack/actions`), behind your TLS."""

    host: str = "0.0.0.0"  # noqa: S104  in a pod; every request is checked for Slack's signature
    port: int = Field(default=8081, ge=0, le=65535)


class Settings(_Model):
    """The whole file."""

    page_url: str = ""
    """Address of the web page, for links."""
    namespaces: list[Namespace] = []
    """Whose incidents are read; empty: all that the account may list."""
    channels: dict[str, Channel]
    routes: list[Route]
    max_age_minutes: int = Field(default=60, ge=1)
    """Incidents that have ended longer ago are not told any more, for instance at the first start."""
    summarize_above: int = Field(default=5, ge=1)
    """More openings and endings than this at once are one message to a channel for people."""
    poll_seconds: float = Field(default=5.0, ge=1.0)
    listen: Listen | None = None

    @model_validator(mode="after")
    def _routes_lead_somewhere(self) -> Settings:
        unknown = {name for route in self.routes for name in route.channels} - set(self.channels)
        if unknown:
            raise ValueError(f"routes name channels that are not there: {', '.join(sorted(unknown))}")
        signed = any(isinstance(one, Slack) and one.signing_secret_file for one in self.channels.values())
        if signed and not (self.listen and self.page_url):
            raise ValueError("signing_secret_file needs listen, where buttons come in, and page_url, where they lead")
        return self


def load(path: Path) -> Settings:
    """Read a YAML file. Raises SettingsError."""
    try:
        return Settings.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        wrong = (
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}".removeprefix(": ")
            for item in error.errors(include_url=False, include_input=False)
        )
        raise SettingsError(f"{path}: {'; '.join(wrong)}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: {' '.join(str(error).split())}") from error

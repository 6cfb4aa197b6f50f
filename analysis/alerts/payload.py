"""What Alertmanager's webhook (version 4) sends, read with bounds: labels and annotations are anybody's text.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from analysis.words import line

MAX_ALERTS = 2000
MAX_LABELS = 64
MAX_VALUE = 256
NEVER_YEAR = 1


class Refused(ValueError):
    """The body is no notification of version 4; the message says where."""


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")


def _bounded(texts: dict[str, str]) -> dict[str, str]:
    if len(texts) > MAX_LABELS:
        raise ValueError(f"more than {MAX_LABELS} entries")
    return {line(name, 128): line(text, MAX_VALUE) for name, text in texts.items()}


class Alert(_Part):
    """One alert."""

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: AwareDatetime
    ends_at: AwareDatetime | None = None
    fingerprint: Annotated[str, Field(max_length=64)] = ""

    _labels = field_validator("labels", "annotations")(_bounded)

    @property
    def key(self) -> str:
        """Identity: Alertmanager's fingerprint is a hash of the labels; so is ours, which nobody can collide."""
        text = "\0".join(f"{name}\0{value}" for name, value in sorted(self.labels.items()))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def ended(self, now: datetime) -> bool:
        """Resolved, by its status or by its end. A firing alert's end is the year 1, or when it would expire."""
        over = self.ends_at is not None and self.ends_at.year > NEVER_YEAR and self.ends_at <= now
        return self.status == "resolved" or over


class Notification(_Part):
    """One call of the webhook."""

    version: Literal["4"]
    alerts: Annotated[tuple[Alert, ...], Field(max_length=MAX_ALERTS)]
    truncated_alerts: int = Field(default=0, ge=0)


def parse(body: bytes) -> Notification:
    """Read a request body.

    Raises:
        Refused: it is not JSON or not of that shape.
    """
    try:
        return Notification.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:200]
        raise Refused(f"{where}: {first['msg']}"[:300] if where else str(first["msg"])[:300]) from error

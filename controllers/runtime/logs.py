"""JSON lines on stderr. Every line says which controller, which key and which incident it is about."""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

current_key: ContextVar[str] = ContextVar("current_key", default="")
current_incident: ContextVar[str] = ContextVar("current_incident", default="")

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object per line; values given by ``extra=`` become fields. Newlines in data cannot forge a line."""

    def __init__(self, controller: str) -> None:
        super().__init__()
        self._controller = controller

    def format(self, record: logging.LogRecord) -> str:
        """Render one record."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "controller": self._controller,
            "logger": record.name,
            "message": record.getMessage(),
        }
        subject = {"key": current_key.get(), "incident": current_incident.get()}
        line.update({name: value for name, value in subject.items() if value})
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        line.update({name: value for name, value in extra.items() if not name.startswith("k8s_")})  # kopf's own
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure(controller: str, level: str) -> None:
    """Install the formatter on the root logger; kopf and urllib3 speak from WARNING up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(controller))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("kopf", "urllib3", "kubernetes", "asyncio", "aiohttp"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))

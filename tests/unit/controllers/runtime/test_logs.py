from __future__ import annotations

import json
import logging
import sys

from controllers.runtime.logs import JsonFormatter, current_incident, current_key


def test_a_line_names_controller_key_and_incident_and_cannot_be_forged() -> None:
    record = logging.makeLogRecord(
        {"msg": "said %s", "args": ('evil"\n{"level":"info"}',), "levelname": "WARNING", "name": "x", "reason": "Why"}
    )
    key, incident = current_key.set("shop/a"), current_incident.set("a")
    try:
        text = JsonFormatter("rca").format(record)
    finally:
        current_key.reset(key)
        current_incident.reset(incident)
    assert "\n" not in text
    line = json.loads(text)
    assert line["controller"] == "rca"
    assert line["key"] == "shop/a"
    assert line["incident"] == "a"
    assert line["reason"] == "Why"
    assert line["level"] == "warning"


def test_an_exception_stays_on_the_line() -> None:
    try:
        int("no")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "f", 1, "broken", None, sys.exc_info())
    text = JsonFormatter("rca").format(record)
    assert "\n" not in text
    assert "ValueError: invalid literal" in json.loads(text)["exception"]

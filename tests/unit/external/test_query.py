"""Selectors become queries in which nothing can break out of its quotes; refusals say what to do."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from external.errors import ExternalError
from external.query import Gateway, log_query, metric_query, parse_time

NOW = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("selector", "terms", "contains", "query"),
    [
        ("", {}, "", '{iirp_source=~".+"}'),
        ("app=payments", {}, "", '{service_name="payments"}'),
        ("app.kubernetes.io/name=a", {"namespace": "b"}, "", '{service_name="a", k8s_namespace_name="b"}'),
        ("pod=~p.*,container!=proxy", {}, "", '{iirp_source=~".+", k8s_pod_name=~"p.*", k8s_container_name!="proxy"}'),
        ("pod!=x", {}, "", '{iirp_source=~".+", k8s_pod_name!="x"}'),
        ("node=n1", {}, "boom", '{iirp_source=~".+"} |= "boom" | k8s_node_name="n1"'),
        ("source=event,level=warn", {}, "", '{iirp_source="event"} | detected_level="warn"'),
        ("k8s.event.reason=OOMKilling", {}, "", '{iirp_source=~".+"} | k8s_event_reason="OOMKilling"'),
        ('{k8s_pod_name="x"} | json', {}, 'a"b', '{k8s_pod_name="x"} | json |= "a\\"b"'),
    ],
)  # fmt: skip
def test_log_selectors(selector: str, terms: dict[str, str], contains: str, query: str) -> None:
    assert log_query(selector, terms, contains) == query


@pytest.mark.parametrize(
    ("query", "selector", "terms", "expected"),
    [
        ("sum(rate(x[1m]))", "", {}, "sum(rate(x[1m]))"),
        ("up", "app.kubernetes.io/name=web", {"namespace": "shop"}, 'up{app="web", namespace="shop"}'),
        ("up", "job!~a|b", {}, 'up{job!~"a|b"}'),
        ("", "app=web", {"namespace": "shop"}, '{app="web", namespace="shop"}'),
        ("", '{job="pods"}', {}, '{job="pods"}'),
    ],
)
def test_metric_selectors(query: str, selector: str, terms: dict[str, str], expected: str) -> None:
    assert metric_query(query, selector, terms) == expected


@pytest.mark.parametrize("selector", ["app", "=x", 'a"b=c', "a b=c", "{x=1"])
def test_what_is_no_selector_is_refused(selector: str) -> None:
    if selector.startswith("{"):
        with pytest.raises(ValueError, match="stands for itself"):
            log_query(selector, {"pod": "x"})
    else:
        with pytest.raises(ValueError, match="is no selector"):
            log_query(selector, {})


def test_neither_query_nor_selector_is_told() -> None:
    with pytest.raises(ValueError, match="say what to look for"):
        metric_query("", "", {})


def test_matchers_cannot_be_added_to_an_expression() -> None:
    with pytest.raises(ValueError, match="metric's name only"):
        metric_query("sum(x)", "app=y", {})


@given(st.text(alphabet=st.characters(exclude_characters=",", exclude_categories=["Cs"]), min_size=1))
def test_no_value_breaks_out_of_its_quotes(value: str) -> None:
    query = log_query("", {"pod": value}, contains=value)
    unquoted = re.sub(r'"(?:[^"\\\n]|\\.)*"', "S", query)
    assert unquoted in ("{k8s_pod_name=S} |= S", "{iirp_source=~S, k8s_pod_name=S} |= S")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("10m", NOW - datetime.timedelta(minutes=10)),
        ("1h30m", NOW - datetime.timedelta(minutes=90)),
        ("0s", NOW),
        ("7d", NOW - datetime.timedelta(days=7)),
        ("2026-01-31T11:00:00Z", NOW - datetime.timedelta(hours=1)),
        ("2026-01-31T11:00:00", NOW - datetime.timedelta(hours=1)),
        ("2026-01-31T13:00:00+02:00", NOW - datetime.timedelta(hours=1)),
    ],
)
def test_times(text: str, moment: datetime.datetime) -> None:
    assert parse_time(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "10", "m", "yesterday", "10x"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither a duration"):
        parse_time(text, NOW)


class _Answer:
    def __init__(self, status: int, text: str) -> None:
        self.status_code = status
        self.text = text

    def json(self) -> object:
        return {"data": {"resultType": "streams", "result": []}} if self.text == "ok" else {}


@pytest.mark.parametrize(
    ("status", "text", "words"),
    [
        (401, "", "iirp-reader"),
        (403, "", "may not query"),
        (400, "parse error at line 1", "refuses the query: parse error"),
        (429, "", "too many queries"),
        (503, "retry", "Look at: status"),
        (200, "html", "something else"),
    ],
)
def test_each_answer_says_what_to_do(monkeypatch: pytest.MonkeyPatch, status: int, text: str, words: str) -> None:
    monkeypatch.setattr(requests.Session, "get", lambda *_, **__: _Answer(status, text))
    gateway = Gateway("https://10.0.0.1:8443/", Path("/ca"), lambda: "t", hint="Look at: status")
    with pytest.raises(ExternalError, match=re.escape(words)) as refused:
        gateway.lines("{}", NOW, NOW, 1)
    assert "https://10.0.0.1:8443" in str(refused.value)


def test_an_unreachable_gateway_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise requests.ConnectionError("(<object at 0x7f>, '[Errno 111] Connection refused')")

    monkeypatch.setattr(requests.Session, "get", refuse)
    gateway = Gateway("https://10.0.0.1:8443", None, lambda: "t", hint="Look at: iirp external status")
    with pytest.raises(ExternalError) as refused:
        gateway.values("up", NOW, NOW, 1)
    assert str(refused.value) == (
        "https://10.0.0.1:8443 does not answer: Connection refused. Look at: iirp external status"
    )
